"""Linear -> BatchNorm: one linear layer."""

import torch
from torch import nn

from sqsam_deploy.folding.affine import batch_norm_affine
from sqsam_deploy.folding.conv_bn import scaled_bias


def fold_linear_bn(linear: nn.Linear, norm: nn.BatchNorm1d | nn.BatchNorm2d) -> nn.Linear:
    """A linear layer that equals `norm(linear(x))`, channels last in `linear`."""
    affine = batch_norm_affine(norm)
    weight = linear.weight.detach().double() * affine.scale.reshape(-1, 1)
    folded = nn.Linear(linear.in_features, linear.out_features, device="meta")
    folded.weight = nn.Parameter(weight.to(torch.float32), requires_grad=False)
    bias = scaled_bias(linear.bias, affine)
    folded.bias = nn.Parameter(bias.to(torch.float32), requires_grad=False)
    return folded

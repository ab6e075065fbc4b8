"""ConvTranspose -> BatchNorm: one ConvTranspose."""

import torch
from torch import nn

from sqsam_deploy.folding.affine import batch_norm_affine
from sqsam_deploy.folding.conv_bn import scaled_bias


def fold_conv_transpose_bn(conv: nn.ConvTranspose2d, norm: nn.BatchNorm2d) -> nn.ConvTranspose2d:
    """A ConvTranspose that equals `norm(conv(x))`.

    Its weight is CxKxhxw: the output channels are axis 1, not axis 0 as in a convolution.
    """
    affine = batch_norm_affine(norm)
    weight = conv.weight.detach().double() * affine.scale.reshape(1, -1, 1, 1)
    folded = nn.ConvTranspose2d(
        conv.in_channels,
        conv.out_channels,
        (conv.kernel_size[0], conv.kernel_size[1]),
        stride=(conv.stride[0], conv.stride[1]),
        device="meta",
    )
    folded.weight = nn.Parameter(weight.to(torch.float32), requires_grad=False)
    bias = scaled_bias(conv.bias, affine)
    folded.bias = nn.Parameter(bias.to(torch.float32), requires_grad=False)
    return folded

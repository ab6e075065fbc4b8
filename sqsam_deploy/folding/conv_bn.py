"""Convolution -> BatchNorm: one convolution."""

import torch
from torch import Tensor, nn

from sqsam_deploy.folding.affine import Affine, batch_norm_affine


def fold_conv_bn(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """A convolution that equals `norm(conv(x))`, border included.

    The norm follows the zero padding, so nothing depends on the border.
    """
    affine = batch_norm_affine(norm)
    weight = conv.weight.detach().double() * affine.scale.reshape(-1, 1, 1, 1)
    return conv_like(conv, weight, scaled_bias(conv.bias, affine))


def scaled_bias(bias: Tensor | None, affine: Affine) -> Tensor:
    """The bias behind the norm, C float64."""
    return affine.shift if bias is None else bias.detach().double() * affine.scale + affine.shift


def conv_like(conv: nn.Conv2d, weight: Tensor, bias: Tensor) -> nn.Conv2d:
    """A float32 convolution with other values (and perhaps channels), the geometry unchanged.

    Args:
        conv: Gives kernel size, stride and padding.
        weight: KxCxhxw.
        bias: K.
    """
    folded = nn.Conv2d(
        weight.shape[1],
        weight.shape[0],
        (conv.kernel_size[0], conv.kernel_size[1]),
        stride=(conv.stride[0], conv.stride[1]),
        padding=(int(conv.padding[0]), int(conv.padding[1])),
        device="meta",
    )
    folded.weight = nn.Parameter(weight.to(torch.float32), requires_grad=False)
    folded.bias = nn.Parameter(bias.to(torch.float32), requires_grad=False)
    return folded

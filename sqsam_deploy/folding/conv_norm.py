"""A norm directly behind a convolution, and the scaling of pixels before the first one.

Folding computes in double precision, so that a tiny variance or scale costs no digits.
"""

from typing import TypeVar

import torch
from torch import Tensor, nn

from sqsam_deploy.folding.layers import ConvReLU
from sqsam_deploy.folding.steps import FoldStep
from sqsam_deploy.model.blocks import ConvBlock, ConvTransposeUp


def scale_and_shift(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """A BatchNorm with running statistics as `scale * x + shift`, each C float64."""
    assert norm.running_mean is not None and norm.running_var is not None
    inverse_std = torch.rsqrt(norm.running_var.double() + norm.eps)
    scale = norm.weight.detach().double() * inverse_std
    return scale, norm.bias.detach().double() - scale * norm.running_mean.double()


def fold_conv_bn(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """A convolution that equals `norm(conv(x))`, border included.

    The norm follows the zero padding, so nothing depends on the border.
    """
    scale, shift = scale_and_shift(norm)
    weight = conv.weight.detach().double() * scale.reshape(-1, 1, 1, 1)
    return conv_like(conv, weight, _scaled_bias(conv.bias, scale, shift))


def fold_conv_transpose_bn(conv: nn.ConvTranspose2d, norm: nn.BatchNorm2d) -> nn.ConvTranspose2d:
    """A transposed convolution that equals `norm(conv(x))`.

    Its weight is CxKxhxw: the output channels are axis 1, not axis 0 as in a convolution.
    """
    scale, shift = scale_and_shift(norm)
    folded = nn.ConvTranspose2d(
        conv.in_channels,
        conv.out_channels,
        (conv.kernel_size[0], conv.kernel_size[1]),
        stride=(conv.stride[0], conv.stride[1]),
        device="meta",
    )
    weight = conv.weight.detach().double() * scale.reshape(1, -1, 1, 1)
    return _with_values(folded, weight, _scaled_bias(conv.bias, scale, shift))


def fold_pixel_scaling(conv: nn.Conv2d, mean: Tensor, std: Tensor) -> nn.Conv2d:
    """A convolution of raw values that equals `conv((x / 255 - mean) / std)`.

    Exact because the patch embedding has no padding: a padded zero would be a black pixel, not
    a normalized zero.

    Args:
        conv: The patch embedding, without padding.
        mean: 1xCx1x1, in units of [0, 1] pixels.
        std: 1xCx1x1.
    """
    scale = 1.0 / (255.0 * std.double())
    shift = -mean.double() / std.double()
    weight = conv.weight.detach().double()
    assert conv.bias is not None
    bias = conv.bias.detach().double() + (weight * shift).sum(dim=(1, 2, 3))
    return conv_like(conv, weight * scale, bias)


def fold_blocks(model: nn.Module) -> list[FoldStep]:
    """Replaces each block whose norm follows its convolution by a `ConvReLU`, in place."""
    steps = []
    for path, block in list(model.named_modules()):
        if isinstance(block, ConvBlock) and block.order == "conv-bn-relu":
            model.set_submodule(path, ConvReLU(fold_conv_bn(block.conv, block.norm)))
            steps.append(FoldStep(f"{path}.norm", "conv-bn", (f"{path}.conv",)))
        elif isinstance(block, ConvTransposeUp):
            model.set_submodule(path, ConvReLU(fold_conv_transpose_bn(block.conv, block.norm)))
            steps.append(FoldStep(f"{path}.norm", "conv-transpose-bn", (f"{path}.conv",)))
    return steps


def conv_like(conv: nn.Conv2d, weight: Tensor, bias: Tensor) -> nn.Conv2d:
    """A float32 convolution with the geometry of another one and other values.

    Args:
        conv: Gives kernel size, stride and padding.
        weight: KxCxhxw; K and C may differ from those of `conv`.
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
    return _with_values(folded, weight, bias)


def _scaled_bias(bias: Tensor | None, scale: Tensor, shift: Tensor) -> Tensor:
    """A convolution's bias behind its norm, C float64."""
    return shift if bias is None else bias.detach().double() * scale + shift


_Conv = TypeVar("_Conv", nn.Conv2d, nn.ConvTranspose2d)


def _with_values(conv: _Conv, weight: Tensor, bias: Tensor) -> _Conv:
    conv.weight = nn.Parameter(weight.to(torch.float32), requires_grad=False)
    conv.bias = nn.Parameter(bias.to(torch.float32), requires_grad=False)
    return conv

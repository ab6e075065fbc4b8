"""Convolution -> ReLU -> BatchNorm, read by a convolution, pooling or concatenation.

With `y = s * ReLU(z) + t`, ReLU lets a factor that is not negative pass: `|s| * ReLU(z) =
ReLU(|s| * z)`, so `|s|` goes back into the convolution. `sign(s)` goes forward into the readers'
weights, and `t` into the readers' biases or, where one pads, into an addition (see `shift`).
"""

import torch
from torch import Tensor, nn

from sqsam_deploy.folding.affine import batch_norm_affine
from sqsam_deploy.folding.channel_affine import ChannelAffine
from sqsam_deploy.folding.conv_bn import conv_like


def fold_relu_bn(
    conv: nn.Conv2d, norm: nn.BatchNorm2d, incoming: ChannelAffine
) -> tuple[nn.Conv2d, ChannelAffine]:
    """`norm(relu(conv(true)))` as the returned mix of `relu(folded(stored))`.

    Args:
        conv: The original convolution.
        norm: The norm behind its ReLU.
        incoming: How the convolution's input is stored.
    """
    assert conv.bias is not None
    affine = batch_norm_affine(norm)
    weight, bias = incoming.read_by(conv.weight.detach().double(), conv.bias.detach().double())
    magnitude = affine.scale.abs()
    folded = conv_like(conv, weight * magnitude.reshape(-1, 1, 1, 1), bias * magnitude)
    return folded, ChannelAffine(signs(affine.scale), affine.shift)


def signs(scale: Tensor) -> Tensor:
    """+1 or -1; a scale of zero stores zeros, whose sign does not matter."""
    return torch.where(scale < 0, -1.0, 1.0).to(scale.dtype)

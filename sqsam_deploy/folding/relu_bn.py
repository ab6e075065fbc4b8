"""Convolution -> ReLU -> BatchNorm, read by a convolution, pooling or concatenation.

With `y = s * ReLU(z) + t`, ReLU lets a factor that is not negative pass: `|s| * ReLU(z) =
ReLU(|s| * z)`, so `|s|` goes back into the convolution. `sign(s)` and `t` go forward into the
readers (see `channel_mix`). A reader that pads with zeros needs `t` to be zero outside the map: the
convolution stores one more channel, the same positive constant everywhere, and the reader's kernel
for that channel adds `t`. Padding the constant with zeros then is the border's exact correction, at
no extra operator; ReLU, max-pooling and concatenation leave the constant as it is.
"""

import math

import torch
from torch import Tensor, nn

from sqsam_deploy.folding.affine import Affine, batch_norm_affine
from sqsam_deploy.folding.channel_mix import ChannelMix, signed_mix, with_constant_maps
from sqsam_deploy.folding.conv_bn import conv_like


def fold_relu_bn(
    conv: nn.Conv2d, norm: nn.BatchNorm2d, incoming: ChannelMix
) -> tuple[nn.Conv2d, ChannelMix]:
    """For readers without padding: `norm(relu(conv(true)))` as `mix` of `relu(folded(stored))`.

    Args:
        conv: The original convolution.
        norm: The norm behind its ReLU.
        incoming: How the convolution's input is stored.
    """
    affine = batch_norm_affine(norm)
    weight, bias = _scaled(conv, affine, incoming)
    return conv_like(conv, weight, bias), signed_mix(affine.scale.sign(), affine.shift)


def fold_relu_bn_with_constant(
    conv: nn.Conv2d, norm: nn.BatchNorm2d, incoming: ChannelMix
) -> tuple[nn.Conv2d, ChannelMix]:
    """For readers that pad with zeros: one more output channel, a constant."""
    affine = batch_norm_affine(norm)
    weight, bias = _scaled(conv, affine, incoming)
    level = constant_level(norm)
    weight = torch.cat([weight, torch.zeros_like(weight[:1])])
    bias = torch.cat([bias, bias.new_tensor([level])])
    signed = signed_mix(affine.scale.sign(), affine.shift)
    mix = with_constant_maps(signed, affine.shift.unsqueeze(1), level)
    return conv_like(conv, weight, bias), mix


def constant_level(norm: nn.BatchNorm2d) -> float:
    """The constant a folded convolution stores: a power of two near the other channels' peaks.

    In int8 one scale serves the whole map, so a constant above the peaks would coarsen every
    channel; a small one would need a kernel whose weights coarsen its whole output channel. The
    norm's own statistics give the peaks without data: mean plus six standard deviations of what is
    stored, which the largest of thousands of rectified pixels usually exceeds. A power of two
    divides without rounding.
    """
    affine = batch_norm_affine(norm)
    assert norm.running_mean is not None
    mean = affine.scale.abs() * norm.running_mean.double().clamp(min=0)
    peak = float((mean + 6 * norm.weight.detach().double().abs()).max())
    return 2.0 ** math.floor(math.log2(peak)) if peak > 0 else 1.0


def _scaled(conv: nn.Conv2d, affine: Affine, incoming: ChannelMix) -> tuple[Tensor, Tensor]:
    """Weight and bias that read the stored input and include the scale's magnitude."""
    assert conv.bias is not None
    weight, bias = incoming.read_by(conv.weight.detach().double(), conv.bias.detach().double())
    magnitude = affine.scale.abs()
    return weight * magnitude.reshape(-1, 1, 1, 1), bias * magnitude

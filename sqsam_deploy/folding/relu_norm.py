"""A norm behind a ReLU, folded forward into the layers that read its map.

With `y = s * ReLU(z) + t`, a factor that is not negative passes a ReLU: `|s| * ReLU(z) =
ReLU(|s| * z)`, so `|s|` goes back into the convolution. `sign(s)` goes forward into the readers'
weights, and `t` into the readers' biases or, where one pads, into an addition (`ChannelBias`).
"""

import torch
from torch import Tensor, nn

from sqsam_deploy.folding.channel_affine import ChannelAffine
from sqsam_deploy.folding.conv_norm import conv_like, scale_and_shift
from sqsam_deploy.folding.layers import ChannelBias, ConvShuffle, SignFlip
from sqsam_deploy.model.blocks import LinearShuffleUp

#: Pixels of one channel that the 2x2 shuffle takes from one input pixel.
_POSITIONS = 4


def fold_relu_bn(
    conv: nn.Conv2d, norm: nn.BatchNorm2d, incoming: ChannelAffine
) -> tuple[nn.Conv2d, ChannelAffine]:
    """A convolution whose `relu(conv(stored))` is `norm(relu(conv(original)))`, up to an affine.

    Args:
        conv: The original convolution.
        norm: The norm behind its ReLU.
        incoming: How the convolution's input is stored.

    Returns:
        The folded convolution, and how its output is stored.
    """
    assert conv.bias is not None
    scale, shift = scale_and_shift(norm)
    weight, bias = incoming.read_by(conv.weight.detach().double(), conv.bias.detach().double())
    magnitude = scale.abs()
    folded = conv_like(conv, weight * magnitude.reshape(-1, 1, 1, 1), bias * magnitude)
    return folded, ChannelAffine(_signs(scale), shift)


def fold_linear_shuffle(
    up: LinearShuffleUp, incoming: ChannelAffine
) -> tuple[ConvShuffle, ChannelAffine]:
    """An upsampling (linear, ReLU, norm, pixel shuffle) without its norm.

    The norm has its own scale and shift for each of the four channels that the shuffle lays out
    as one channel's 2x2 pixels, so the shift is added before the shuffle. A channel whose four
    scales differ in sign is stored with its signs, by a `SignFlip` before the shuffle: one sign
    behind it could not describe the channel.

    Returns:
        The folded upsampling, and how its output is stored.
    """
    scale, shift = scale_and_shift(up.norm)
    magnitude = scale.abs()
    weight, bias = incoming.read_by(
        up.linear.weight.detach().double(), up.linear.bias.detach().double()
    )
    conv = _conv_1x1(weight * magnitude.unsqueeze(1), bias * magnitude)
    before, behind = _split_signs(_signs(scale).reshape(-1, _POSITIONS))
    stored_shift = ChannelBias(shift * behind.repeat_interleave(_POSITIONS))
    folded = ConvShuffle(conv, SignFlip.where_needed(before.flatten()), stored_shift)
    return folded, ChannelAffine(behind, torch.zeros_like(behind))


def pooled(affine: ChannelAffine) -> tuple[nn.Module, ChannelAffine]:
    """The layer that must precede max-pooling, and how the pooled map is stored.

    The largest of a channel's pixels stays the largest under a positive scale and any shift. Under
    a negative one it becomes the smallest, so such channels are stored negated before pooling.
    """
    flip = SignFlip.where_needed(affine.sign)
    return flip, ChannelAffine(torch.ones_like(affine.sign), affine.shift)


def explicit_bias(affine: ChannelAffine) -> tuple[ChannelBias, ChannelAffine]:
    """The shift as an addition to the stored map, and how the map is stored behind it.

    The zeros with which a reader pads that map then are the original map's zeros.
    """
    bias = ChannelBias(affine.sign * affine.shift)
    return bias, ChannelAffine(affine.sign, torch.zeros_like(affine.shift))


def restored(affine: ChannelAffine) -> nn.Sequential:
    """A layer that turns a stored map into the original one.

    For the deepest map, which the transformer reads: it adds the map to the result of its
    projections, so these could take signs and shift only in part; on four pixels they cost nothing.
    """
    return nn.Sequential(SignFlip.where_needed(affine.sign), ChannelBias(affine.shift))


def _signs(scale: Tensor) -> Tensor:
    """+1 or -1; a scale of zero stores zeros, whose sign does not matter."""
    return torch.where(scale < 0, -1.0, 1.0).to(scale.dtype)


def _split_signs(each: Tensor) -> tuple[Tensor, Tensor]:
    """The signs to be applied before the shuffle (Cx4), and one per channel behind it (C)."""
    mixed = (each != each[:, :1]).any(dim=1, keepdim=True)
    before = torch.where(mixed, each, torch.ones_like(each))
    behind = torch.where(mixed, torch.ones_like(each), each)[:, 0]
    return before, behind


def _conv_1x1(weight: Tensor, bias: Tensor) -> nn.Conv2d:
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], 1, device="meta")
    conv.weight = nn.Parameter(weight.float()[:, :, None, None], requires_grad=False)
    conv.bias = nn.Parameter(bias.float(), requires_grad=False)
    return conv

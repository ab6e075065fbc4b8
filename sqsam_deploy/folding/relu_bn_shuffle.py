"""Linear -> ReLU -> BatchNorm -> pixel shuffle, read by a padded convolution.

The norm has its own scale and shift for each of the four channels that the shuffle lays out as one
channel's 2x2 pixels, so the shift is added before it. The linear layer becomes a 1x1 convolution,
which needs no change of memory layout.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sqsam_deploy.folding.affine import batch_norm_affine
from sqsam_deploy.folding.channel_affine import ChannelAffine
from sqsam_deploy.folding.channel_bias import ChannelBias
from sqsam_deploy.folding.relu_bn import signs
from sqsam_deploy.folding.sign_flip import SignFlip
from sqsam_deploy.model.blocks import LinearShuffleUp

#: Pixels of one channel that the 2x2 shuffle takes from one input pixel.
POSITIONS = 4


class ConvShuffle(nn.Module):
    """1x1 convolution, ReLU, shift, pixel shuffle. BxCxHxW -> BxKx2Hx2W."""

    def __init__(self, conv: nn.Conv2d, flip: nn.Module, shift: ChannelBias) -> None:
        super().__init__()
        self.conv = conv
        self.flip = flip
        self.shift = shift

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW -> BxKx2Hx2W."""
        return F.pixel_shuffle(self.shift(self.flip(F.relu(self.conv(x)))), 2)


def fold_linear_shuffle(
    up: LinearShuffleUp, incoming: ChannelAffine
) -> tuple[ConvShuffle, ChannelAffine]:
    """The original upsampling as the returned mix of what the folded one stores.

    A channel whose four scales differ in sign is stored with its signs, by a `SignFlip` before the
    shuffle: one sign behind it could not describe the channel.
    """
    affine = batch_norm_affine(up.norm)
    magnitude = affine.scale.abs()
    weight, bias = incoming.read_by(
        up.linear.weight.detach().double(), up.linear.bias.detach().double()
    )
    conv = _conv_1x1(weight * magnitude.unsqueeze(1), bias * magnitude)
    before, behind = _split_signs(signs(affine.scale).reshape(-1, POSITIONS))
    shift = affine.shift * behind.repeat_interleave(POSITIONS)
    folded = ConvShuffle(conv, SignFlip.where_needed(before.flatten()), ChannelBias(shift))
    return folded, ChannelAffine(behind, torch.zeros_like(behind))


def _split_signs(each: Tensor) -> tuple[Tensor, Tensor]:
    """The signs that must be applied before the shuffle (Cx4), and one a channel behind it (C)."""
    mixed = (each != each[:, :1]).any(dim=1, keepdim=True)
    before = torch.where(mixed, each, torch.ones_like(each))
    behind = torch.where(mixed, torch.ones_like(each), each)[:, 0]
    return before, behind


def _conv_1x1(weight: Tensor, bias: Tensor) -> nn.Conv2d:
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], 1, device="meta")
    conv.weight = nn.Parameter(weight.float()[:, :, None, None], requires_grad=False)
    conv.bias = nn.Parameter(bias.float(), requires_grad=False)
    return conv

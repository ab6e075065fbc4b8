"""Linear -> ReLU -> BatchNorm -> pixel shuffle, read by a padded convolution.

The norm has its own scale and shift for each of the four channels that the shuffle lays out as one
channel's 2x2 pixels, so behind the shuffle the shift is a pattern of period 2. Four constant maps
carry it, each non-zero at one of the four positions; the linear layer writes them as sixteen more
outputs. The linear layer becomes a 1x1 convolution, which needs no change of memory layout.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sqsam_deploy.folding.affine import batch_norm_affine
from sqsam_deploy.folding.channel_mix import ChannelMix, signed_mix, with_constant_maps
from sqsam_deploy.folding.flip import Flip
from sqsam_deploy.folding.relu_bn import constant_level
from sqsam_deploy.model.blocks import LinearShuffleUp

#: Pixels of one channel that the 2x2 shuffle takes from one input pixel.
POSITIONS = 4


class ConvShuffle(nn.Module):
    """1x1 convolution, ReLU, pixel shuffle. BxCxHxW -> BxKx2Hx2W."""

    def __init__(self, conv: nn.Conv2d, flip: nn.Module) -> None:
        super().__init__()
        self.conv = conv
        self.flip = flip

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW -> BxKx2Hx2W."""
        return F.pixel_shuffle(self.flip(F.relu(self.conv(x))), 2)


def fold_linear_shuffle(
    up: LinearShuffleUp, incoming: ChannelMix
) -> tuple[ConvShuffle, ChannelMix]:
    """The original upsampling as `mix` of what the folded one stores.

    A channel whose four scales differ in sign is stored with its signs, by a `Flip` before the
    shuffle: one sign behind it could not describe the channel.
    """
    affine = batch_norm_affine(up.norm)
    magnitude = affine.scale.abs()
    weight, bias = incoming.read_by(
        up.linear.weight.detach().double(), up.linear.bias.detach().double()
    )
    level = constant_level(up.norm)
    weight, bias = weight * magnitude.unsqueeze(1), bias * magnitude
    weight = torch.cat([weight, weight.new_zeros(POSITIONS**2, weight.shape[1])])
    bias = torch.cat([bias, level * torch.eye(POSITIONS, dtype=bias.dtype).flatten()])
    sign, before = _signs(affine.scale.sign().reshape(-1, POSITIONS))
    flip = torch.cat([before.flatten(), torch.ones(POSITIONS**2, dtype=before.dtype)])
    shifts = affine.shift.reshape(-1, POSITIONS)
    mix = with_constant_maps(signed_mix(sign, torch.zeros_like(sign)), shifts, level)
    return ConvShuffle(_conv_1x1(weight, bias), Flip.where_needed(flip)), mix


def _signs(signs: Tensor) -> tuple[Tensor, Tensor]:
    """One sign a channel behind the shuffle (C), and the signs before it (Cx4)."""
    positive = (signs >= 0).all(dim=1)
    negative = (signs <= 0).all(dim=1) & ~positive
    mixed = ~(positive | negative)
    behind = torch.where(negative, -1.0, 1.0).to(signs.dtype)
    return behind, torch.where(mixed.unsqueeze(1), signs, torch.ones_like(signs))


def _conv_1x1(weight: Tensor, bias: Tensor) -> nn.Conv2d:
    conv = nn.Conv2d(weight.shape[1], weight.shape[0], 1, device="meta")
    conv.weight = nn.Parameter(weight.float()[:, :, None, None], requires_grad=False)
    conv.bias = nn.Parameter(bias.float(), requires_grad=False)
    return conv

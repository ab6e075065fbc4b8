"""The shift of a norm whose reader pads with zeros: added where the map is stored."""

import torch
from torch import Tensor, nn

from sqsam_deploy.folding.channel_affine import ChannelAffine


class ChannelBias(nn.Module):
    """Adds a constant to each channel. BxCxHxW -> the same."""

    def __init__(self, shift: Tensor) -> None:
        super().__init__()
        self.shift: Tensor
        self.register_buffer("shift", shift.to(torch.float32).reshape(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """The shifted map."""
        return x + self.shift


def explicit_bias(mix: ChannelAffine) -> tuple[ChannelBias, ChannelAffine]:
    """The addition to the stored map, and the mix behind it, which has no shift.

    The zeros with which a reader pads this map then are the true zeros.
    """
    return ChannelBias(mix.sign * mix.shift), ChannelAffine(mix.sign, torch.zeros_like(mix.shift))

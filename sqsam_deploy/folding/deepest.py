"""The deepest map's norm: read by the transformer, which has no convolution to take it."""

import torch
from torch import Tensor, nn

from sqsam_deploy.folding.channel_mix import ChannelMix
from sqsam_deploy.folding.flip import Flip


class Shift(nn.Module):
    """Adds a constant to each channel. BxCxHxW -> the same."""

    def __init__(self, shift: Tensor) -> None:
        super().__init__()
        self.shift: Tensor
        self.register_buffer("shift", shift.to(torch.float32).reshape(1, -1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """The shifted map."""
        return x + self.shift


def restored(mix: ChannelMix) -> nn.Sequential:
    """A module that turns a stored map of 2x2 pixels into the true one.

    Signs and shift remain explicit here: the transformer adds the map to what it computes from it,
    so a projection could take them only in part, and on four pixels they cost nothing.
    """
    return nn.Sequential(Flip.where_needed(mix.matrix.diagonal()), Shift(mix.shift))

"""The deepest map's norm: read by the transformer, which has no convolution to take it."""

from torch import nn

from sqsam_deploy.folding.channel_mix import ChannelMix
from sqsam_deploy.folding.flip import Flip
from sqsam_deploy.folding.shift import Shift


def restored(mix: ChannelMix) -> nn.Sequential:
    """A module that turns a stored map of 2x2 pixels into the true one.

    Signs and shift remain explicit here: the transformer adds the map to what it computes from it,
    so a projection could take them only in part, and on four pixels they cost nothing.
    """
    return nn.Sequential(Flip.where_needed(mix.sign), Shift(mix.shift))

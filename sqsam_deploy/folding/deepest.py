"""The deepest map's norm: read by the transformer, which has no convolution to take it."""

from torch import nn

from sqsam_deploy.folding.channel_affine import ChannelAffine
from sqsam_deploy.folding.channel_bias import ChannelBias
from sqsam_deploy.folding.sign_flip import SignFlip


def restored(mix: ChannelAffine) -> nn.Sequential:
    """A module that turns a stored map of 2x2 pixels into the true one.

    Signs and shift remain explicit here: the transformer adds the map to what it computes from it,
    so a projection could take them only in part, and on four pixels they cost nothing.
    """
    return nn.Sequential(SignFlip.where_needed(mix.sign), ChannelBias(mix.shift))

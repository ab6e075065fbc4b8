"""Max-pooling of a map whose norm was moved forward."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sqsam_deploy.folding.channel_affine import ChannelAffine
from sqsam_deploy.folding.sign_flip import SignFlip


class FlipPoolConv(nn.Module):
    """Signs, 2x2 max-pooling, then the folded double block. BxCxHxW -> BxKx(H/2)x(W/2)."""

    def __init__(self, flip: nn.Module, conv: nn.Module) -> None:
        super().__init__()
        self.flip = flip
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW -> BxKx(H/2)x(W/2)."""
        pooled = F.max_pool2d(self.flip(x), kernel_size=2, stride=2)
        out: Tensor = self.conv(pooled)
        return out


def pooled_mix(mix: ChannelAffine) -> tuple[nn.Module, ChannelAffine]:
    """What must happen before the pooling, and the mix behind it.

    The largest of a channel's pixels stays the largest under a positive scale and any shift. Under
    a negative one it becomes the smallest, so such channels are stored negated before pooling.
    """
    return SignFlip.where_needed(mix.sign), ChannelAffine(torch.ones_like(mix.sign), mix.shift)

"""How a map that is stored differs from the map the original network has at that place.

A norm behind a ReLU cannot move back through it, so it moves forward, into whatever reads the map.
Until there, what is stored and what is meant differ by a sign and a shift of each channel.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ChannelAffine:
    """`true = sign * stored + shift`, at every pixel.

    Attributes:
        sign: C float64, +1 or -1.
        shift: C float64. Zero where a reader pads with zeros, which a shift would turn into
            something else.
    """

    sign: Tensor
    shift: Tensor

    def read_by(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Weight and bias of a reader of the stored map.

        Exact for a padded convolution too when `shift` is zero: the stored zeros of the padding
        are the true zeros.

        Args:
            weight: KxCxhxw or KxC of the reader of the true map.
            bias: K.
        """
        stored = weight * self.sign.reshape(1, -1, *[1] * (weight.dim() - 2))
        kernel_sum = weight.flatten(2).sum(2) if weight.dim() > 2 else weight
        return stored, bias + kernel_sum @ self.shift


def identity_mix(channels: int) -> ChannelAffine:
    """A map that is stored as it is."""
    return ChannelAffine(
        torch.ones(channels, dtype=torch.float64), torch.zeros(channels, dtype=torch.float64)
    )


def concatenated(first: ChannelAffine, second: ChannelAffine) -> ChannelAffine:
    """Two maps stored one behind the other, as `torch.cat` stores them."""
    return ChannelAffine(
        torch.cat([first.sign, second.sign]), torch.cat([first.shift, second.shift])
    )

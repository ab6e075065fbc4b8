"""A feature map that is stored with other signs and without the shift of its norm.

A norm behind a ReLU cannot move back through it, so it moves forward into whatever reads the map.
In between, the stored map and the original network's map differ by a sign and a shift per channel.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ChannelAffine:
    """The relation `original = sign * stored + shift`, at every pixel.

    Attributes:
        sign: C float64, +1 or -1.
        shift: C float64. Zero where a reader pads with zeros: a shift would change the padding.
    """

    sign: Tensor
    shift: Tensor

    def read_by(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Weight and bias of a layer that reads the stored map instead of the original one.

        Exact for a padded convolution too when `shift` is zero: padding is then zero in both maps.

        Args:
            weight: KxCxhxw or KxC of the layer that reads the original map.
            bias: K.
        """
        stored = weight * self.sign.reshape(1, -1, *[1] * (weight.dim() - 2))
        kernel_sum = weight.flatten(2).sum(2) if weight.dim() > 2 else weight
        return stored, bias + kernel_sum @ self.shift


def identity_affine(channels: int) -> ChannelAffine:
    """The relation for a map that is stored as it is."""
    return ChannelAffine(
        torch.ones(channels, dtype=torch.float64), torch.zeros(channels, dtype=torch.float64)
    )


def concatenated(first: ChannelAffine, second: ChannelAffine) -> ChannelAffine:
    """The relation for two maps joined by `torch.cat` along their channels."""
    return ChannelAffine(
        torch.cat([first.sign, second.sign]), torch.cat([first.shift, second.shift])
    )

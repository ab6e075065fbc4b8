"""How a map that is stored differs from the map the original network has at that place.

A norm behind a ReLU cannot move back through it, so it moves forward, into whatever reads the map.
Until there, what is stored and what is meant differ by one linear map of the channels.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class ChannelMix:
    """`true = matrix @ stored + shift`, at every pixel.

    Attributes:
        matrix: CxD float64, from the D stored channels to the C true ones. The first C stored
            channels belong to one true channel each; those behind are constant maps.
        shift: C float64. Zero where a reader pads with zeros, which a shift would turn into
            something else.
    """

    matrix: Tensor
    shift: Tensor

    def read_by(self, weight: Tensor, bias: Tensor) -> tuple[Tensor, Tensor]:
        """Weight and bias of a reader of the stored map.

        Exact for a padded convolution too when `shift` is zero: the stored zeros of the padding
        are the true zeros.

        Args:
            weight: KxCxhxw or KxC of the reader of the true map.
            bias: K.
        """
        stored = torch.einsum("kc...,cd->kd...", weight, self.matrix)
        kernel_sum = weight.flatten(2).sum(2) if weight.dim() > 2 else weight
        return stored, bias + kernel_sum @ self.shift


def identity_mix(channels: int) -> ChannelMix:
    """A map that is stored as it is."""
    return ChannelMix(
        torch.eye(channels, dtype=torch.float64), torch.zeros(channels, dtype=torch.float64)
    )


def signed_mix(sign: Tensor, shift: Tensor) -> ChannelMix:
    """Channels stored without their sign (+1, -1 or 0) and shift."""
    return ChannelMix(torch.diag(sign), shift)


def concatenated(first: ChannelMix, second: ChannelMix) -> ChannelMix:
    """Two maps stored one behind the other, as `torch.cat` stores them."""
    matrix: Tensor = torch.block_diag(first.matrix, second.matrix)  # type: ignore[no-untyped-call]
    return ChannelMix(matrix, torch.cat([first.shift, second.shift]))


def with_constant_maps(mix: ChannelMix, shifts: Tensor, level: float) -> ChannelMix:
    """The shift carried by constant maps behind the stored channels.

    Args:
        mix: Without constant maps.
        shifts: CxP float64; what one unit of `level` in constant map p adds to true channel c.
        level: Value of a constant map where it is not zero.
    """
    matrix = torch.cat([mix.matrix, shifts / level], dim=1)
    return ChannelMix(matrix, torch.zeros_like(mix.shift))

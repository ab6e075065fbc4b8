"""Signs that must be applied before an operator that does not commute with them."""

import torch
from torch import Tensor, nn


class SignFlip(nn.Module):
    """Multiplies each channel by +1 or -1. BxCxHxW -> the same."""

    def __init__(self, signs: Tensor) -> None:
        super().__init__()
        self.signs: Tensor
        self.register_buffer("signs", signs.to(torch.float32).reshape(1, -1, 1, 1))

    @staticmethod
    def where_needed(signs: Tensor) -> nn.Module:
        """A `SignFlip` when a sign is negative, else nothing: most trained scales are positive."""
        return SignFlip(signs) if bool((signs < 0).any()) else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """The signed map."""
        return x * self.signs

"""A norm at inference: one scale and one shift a channel."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Affine:
    """`y = scale * x + shift`, channel by channel.

    Attributes:
        scale: C float64.
        shift: C float64.
    """

    scale: Tensor
    shift: Tensor


def batch_norm_affine(norm: nn.BatchNorm1d | nn.BatchNorm2d) -> Affine:
    """What a BatchNorm with running statistics computes.

    Folding works in double precision, so that a tiny variance or scale costs no digits.
    """
    assert norm.running_mean is not None and norm.running_var is not None
    inverse_std = torch.rsqrt(norm.running_var.double() + norm.eps)
    scale = norm.weight.detach().double() * inverse_std
    shift = norm.bias.detach().double() - scale * norm.running_mean.double()
    return Affine(scale, shift)

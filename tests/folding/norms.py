"""BatchNorms as hard as they come: every kind of scale, statistics unrelated to the data."""

import torch
from torch import nn


def harden(module: nn.Module, seed: int) -> None:
    """Random statistics; scales of both signs, with a zero and tiny ones."""
    generator = torch.Generator().manual_seed(seed)
    for norm in module.modules():
        if isinstance(norm, nn.BatchNorm2d):
            for value, low, high in (
                (norm.weight, -1.5, 1.5),
                (norm.bias, -1.0, 1.0),
                (norm.running_mean, -0.5, 1.0),
                (norm.running_var, 0.1, 2.0),
            ):
                value.data.uniform_(low, high, generator=generator)
            norm.weight.data[0] = 0.0
            norm.weight.data[1] = 1e-6
            norm.weight.data[2] = -1e-6
    module.eval()


def relative_difference(actual: torch.Tensor, expected: torch.Tensor) -> float:
    """Largest absolute difference over the largest expected magnitude."""
    assert expected.abs().max() > 0
    return float((actual - expected).abs().max() / expected.abs().max())

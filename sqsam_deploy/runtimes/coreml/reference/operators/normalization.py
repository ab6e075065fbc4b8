"""Norms."""

from collections.abc import Sequence

import torch
from torch import Tensor

from sqsam_deploy.runtimes.coreml.reference.operators.table import operator


@operator
def layer_norm(
    x: Tensor,
    axes: Sequence[int] | None = None,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    """Zero mean and unit variance over `axes` (None: all), then gamma and beta of their sizes."""
    dims = list(range(x.ndim)) if axes is None else sorted(axis % x.ndim for axis in axes)
    variance, mean = torch.var_mean(x, dims, correction=0, keepdim=True)
    normed = (x - mean) * torch.rsqrt(variance + epsilon)
    # gamma and beta have the sizes of `axes`; the other axes broadcast.
    shape = [x.shape[dim] if dim in dims else 1 for dim in range(x.ndim)]
    scaled = normed if gamma is None else normed * gamma.reshape(shape)
    return scaled if beta is None else scaled + beta.reshape(shape)


@operator
def batch_norm(
    x: Tensor,
    mean: Tensor,
    variance: Tensor,
    gamma: Tensor | None = None,
    beta: Tensor | None = None,
    epsilon: float = 1e-5,
) -> Tensor:
    """Per-channel affine map from given statistics; channels are axis 1."""
    shape = (-1,) + (1,) * (x.ndim - 2)
    scale = torch.rsqrt(variance + epsilon)
    scale = scale if gamma is None else scale * gamma
    shift = -mean * scale if beta is None else beta - mean * scale
    return x * scale.reshape(shape) + shift.reshape(shape)

"""Reductions along axes (None: all of them)."""

from collections.abc import Sequence

from torch import Tensor

from sqsam_deploy.runtimes.coreml.reference.operators.table import operator


def _dims(x: Tensor, axes: Sequence[int] | None) -> list[int]:
    return list(range(x.ndim)) if axes is None else list(axes)


@operator
def reduce_mean(x: Tensor, axes: Sequence[int] | None = None, keep_dims: bool = False) -> Tensor:
    """Mean."""
    return x.mean(_dims(x, axes), keepdim=keep_dims)


@operator
def reduce_sum(x: Tensor, axes: Sequence[int] | None = None, keep_dims: bool = False) -> Tensor:
    """Sum."""
    return x.sum(_dims(x, axes), keepdim=keep_dims)


@operator
def reduce_max(x: Tensor, axes: Sequence[int] | None = None, keep_dims: bool = False) -> Tensor:
    """Maximum."""
    return x.amax(_dims(x, axes), keepdim=keep_dims)

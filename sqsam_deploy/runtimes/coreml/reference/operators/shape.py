"""Operators that move values without changing them."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.runtimes.coreml.reference.operators.table import operator


@operator
def reshape(x: Tensor, shape: Sequence[int]) -> Tensor:
    """The same values in another shape; 0 keeps an axis, one -1 is worked out."""
    sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(shape)]
    return x.reshape(sizes)


@operator
def transpose(x: Tensor, perm: Sequence[int]) -> Tensor:
    """Axes in another order."""
    return x.permute(list(perm))


@operator
def expand_dims(x: Tensor, axes: Sequence[int]) -> Tensor:
    """Axes of size 1 at these places of the result."""
    rank = x.ndim + len(axes)
    for axis in sorted(axis % rank for axis in axes):
        x = x.unsqueeze(axis)
    return x


@operator
def squeeze(x: Tensor, axes: Sequence[int] | None = None) -> Tensor:
    """Without these axes of size 1 (None: without all of them)."""
    return x.squeeze() if axes is None else x.squeeze(tuple(axes))


@operator
def concat(values: list[Tensor], axis: int, interleave: bool = False) -> Tensor:
    """Joined along `axis`, one value after the other or element by element."""
    if not interleave:
        return torch.cat(values, dim=axis)
    return torch.stack(values, dim=axis % values[0].ndim + 1).flatten(
        axis % values[0].ndim, axis % values[0].ndim + 1
    )


@operator
def stack(values: list[Tensor], axis: int) -> Tensor:
    """Joined along a new axis."""
    return torch.stack(values, dim=axis)


@operator
def slice_by_index(
    x: Tensor,
    begin: Sequence[int],
    end: Sequence[int],
    stride: Sequence[int] | None = None,
    begin_mask: Sequence[bool] | None = None,
    end_mask: Sequence[bool] | None = None,
    squeeze_mask: Sequence[bool] | None = None,
) -> Tensor:
    """numpy's x[begin:end:stride, ...]; a mask leaves an end open, or takes one index.

    Raises:
        ArtifactError: A negative stride.
    """
    none = [False] * x.ndim
    steps = list(stride or [1] * x.ndim)
    if min(steps) < 0:
        raise ArtifactError("the reference executor does not know slice_by_index going backwards")
    opens, closes = list(begin_mask or none), list(end_mask or none)
    picks = list(squeeze_mask or none)
    index = tuple(
        begin[i]
        if picks[i]
        else slice(None if opens[i] else begin[i], None if closes[i] else end[i], steps[i])
        for i in range(x.ndim)
    )
    return x[index]


@operator
def slice_by_size(x: Tensor, begin: Sequence[int], size: Sequence[int]) -> Tensor:
    """`size` elements from `begin` on; -1 takes all that follow."""
    index = tuple(
        slice(start, None if count == -1 else start + count)
        for start, count in zip(begin, size, strict=True)
    )
    return x[index]


@operator
def gather(
    x: Tensor,
    indices: Tensor,
    axis: int = 0,
    batch_dims: int = 0,
    validate_indices: bool = False,
) -> Tensor:
    """x's entries at `indices` along `axis`; the axes of `indices` take that axis' place.

    Raises:
        ArtifactError: `batch_dims`, which no program of this package uses.
    """
    del validate_indices  # torch always validates
    if batch_dims:
        raise ArtifactError("the reference executor does not know gather with batch_dims")
    at = axis % x.ndim
    picked = x.index_select(at, indices.reshape(-1).long() % x.shape[at])
    return picked.reshape(*x.shape[:at], *indices.shape, *x.shape[at + 1 :])


@operator
def tile(x: Tensor, reps: Sequence[int]) -> Tensor:
    """Repeated along every axis."""
    return x.repeat(list(reps))


@operator
def pixel_shuffle(x: Tensor, upscale_factor: int) -> Tensor:
    """Bx(C*r*r)xHxW -> BxCx(H*r)x(W*r)."""
    return F.pixel_shuffle(x, upscale_factor)


@operator
def pad(x: Tensor, pad: Sequence[int], mode: str = "constant", constant_val: float = 0.0) -> Tensor:
    """Elements before and after the last axes.

    Raises:
        ArtifactError: A mode other than "constant", "reflect" and "replicate".
    """
    if mode not in ("constant", "reflect", "replicate"):
        raise ArtifactError(f"the reference executor does not know pad with mode '{mode}'")
    pairs = list(zip(pad[::2], pad[1::2], strict=True))
    last_first = [amount for pair in reversed(pairs) for amount in pair]
    if mode == "constant":
        return F.pad(x, last_first, value=constant_val)
    # torch mirrors only the axes behind batch and channel, which must be named exactly.
    return F.pad(x, last_first[: 2 * (x.ndim - 2)], mode=mode)

"""Affine quantization of activations."""

import torch
from torch import Tensor

from sqsam_deploy.runtimes.coreml.reference.operators.table import operator

_TYPES = {"int8": torch.int8, "uint8": torch.uint8}


def along_axis(value: Tensor, axis: int | None, rank: int) -> Tensor:
    """A scalar as it is; a vector shaped so that it broadcasts along `axis`."""
    if value.ndim == 0 or axis is None:
        return value
    shape = [1] * rank
    shape[axis] = -1
    return value.reshape(shape)


@operator
def quantize(
    input: Tensor,
    scale: Tensor,
    output_dtype: str,
    zero_point: Tensor | None = None,
    axis: int | None = None,
) -> Tensor:
    """clip(round(input / scale) + zero_point), halves to even."""
    scaled = torch.round(input / along_axis(scale, axis, input.ndim))
    if zero_point is not None:
        scaled = scaled + along_axis(zero_point, axis, input.ndim).to(scaled.dtype)
    limits = torch.iinfo(_TYPES[output_dtype])
    return scaled.clamp(limits.min, limits.max).to(_TYPES[output_dtype])


@operator
def dequantize(
    input: Tensor,
    scale: Tensor,
    zero_point: Tensor | None = None,
    axis: int | None = None,
) -> Tensor:
    """(input - zero_point) * scale."""
    shifted = input.to(torch.float32)
    if zero_point is not None:
        shifted = shifted - along_axis(zero_point, axis, input.ndim).to(torch.float32)
    return shifted * along_axis(scale, axis, input.ndim)

"""Compressed constants, which Core ML expands when it loads a model or as it runs."""

import math

import torch
from torch import Tensor

from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.runtimes.coreml.reference.operators.quantization import along_axis
from sqsam_deploy.runtimes.coreml.reference.operators.table import operator


@operator
def constexpr_affine_dequantize(
    quantized_data: Tensor, zero_point: Tensor, scale: Tensor, axis: int
) -> Tensor:
    """(quantized_data - zero_point) * scale, both scalars or vectors along `axis`."""
    rank = quantized_data.ndim
    shifted = quantized_data.to(torch.float32) - along_axis(zero_point, axis, rank).to(
        torch.float32
    )
    return shifted * along_axis(scale, axis, rank)


@operator
def constexpr_blockwise_shift_scale(
    data: Tensor, scale: Tensor, offset: Tensor | None = None
) -> Tensor:
    """(data - offset) * scale, where each scale serves a block of the data along every axis."""
    shifted = data.to(torch.float32)
    if offset is not None:
        shifted = shifted - _expanded(offset, data).to(torch.float32)
    return shifted * _expanded(scale, data)


@operator
def constexpr_lut_to_dense(indices: Tensor, lut: Tensor, vector_axis: int | None = None) -> Tensor:
    """Values of the palettes `lut`, G...xNx1, each of which serves a block along every axis.

    Raises:
        ArtifactError: An index stands for several values.
    """
    *blocks, count, width = lut.shape
    if vector_axis is not None or width != 1:
        raise ArtifactError("the reference executor does not know palettes of vectors")
    numbers = torch.arange(math.prod(blocks)).reshape(blocks)
    return lut.reshape(-1, count)[_expanded(numbers, indices), indices.long()]


def _expanded(blocks: Tensor, data: Tensor) -> Tensor:
    for axis, size in enumerate(data.shape):
        blocks = blocks.repeat_interleave(size // blocks.shape[axis], dim=axis)
    return blocks


@operator
def constexpr_cast(source_val: Tensor, output_dtype: str) -> Tensor:
    """source_val; the executor rounds it to the type the program declares."""
    del output_dtype
    return source_val

"""Rewrites of an ONNX graph that change operators and not the function.

One pass is one file; each works in place and returns how many places it changed.
"""

from collections.abc import Callable

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from sqsam_deploy.runtimes.onnx.passes.depthwise_shift import shift_by_convolution
from sqsam_deploy.runtimes.onnx.passes.integer_bias import quantize_biases
from sqsam_deploy.runtimes.onnx.passes.integer_masks import multiply_masks_as_integers
from sqsam_deploy.runtimes.onnx.passes.own_zero_points import separate_zero_points
from sqsam_deploy.runtimes.onnx.passes.patch_rows import embed_rows
from sqsam_deploy.runtimes.onnx.passes.pixel_inputs import JOINED, take_pixels_as_bytes
from sqsam_deploy.runtimes.onnx.passes.pixel_shuffle import move_shuffles_channels_last
from sqsam_deploy.runtimes.onnx.passes.pointwise_upsampling import rewrite_upsampling
from sqsam_deploy.runtimes.onnx.passes.quantized_moves import keep_moves_quantized
from sqsam_deploy.runtimes.onnx.passes.saturating_relu import drop_saturating_relu
from sqsam_deploy.runtimes.onnx.passes.transposed_weights import transpose_weights
from sqsam_deploy.runtimes.onnx.passes.unsigned_activations import count_activations_from_zero

__all__ = [
    "INT8_PASSES",
    "INT8_PIXEL_PASSES",
    "JOINED",
    "Pass",
    "apply_passes",
]

Pass = Callable[[ir.Model], int]

_TO_INTEGERS: tuple[Pass, ...] = (
    transpose_weights,
    drop_saturating_relu,
    keep_moves_quantized,
    rewrite_upsampling,
    shift_by_convolution,
    move_shuffles_channels_last,
    count_activations_from_zero,
    multiply_masks_as_integers,
)
#: For an int8 graph whose inputs stay what they are.
INT8_PASSES: tuple[Pass, ...] = (*_TO_INTEGERS, quantize_biases, separate_zero_points)
#: For an int8 graph that takes its pixels as one uint8 input, `PIXELS`.
INT8_PIXEL_PASSES: tuple[Pass, ...] = (
    *_TO_INTEGERS,
    take_pixels_as_bytes,
    embed_rows,
    quantize_biases,
    separate_zero_points,
)


def apply_passes(model: ir.Model, *passes: Pass) -> list[int]:
    """Applies passes in place and removes what nothing reads any more.

    Returns:
        Places that each pass changed.
    """
    changed = []
    for each in passes:
        changed.append(each(model))
        RemoveUnusedNodesPass()(model)
    return changed

"""Rewrites of an ONNX graph that change operators and not the function, as `onnx_ir` passes.

One pass is one file.
"""

import onnx_ir as ir
from onnx_ir.passes.common import RemoveUnusedNodesPass

from sqsam_deploy.runtimes.onnx.passes.depthwise_shift import ShiftByConvolution
from sqsam_deploy.runtimes.onnx.passes.integer_bias import QuantizeBiases
from sqsam_deploy.runtimes.onnx.passes.integer_masks import MultiplyMasksAsIntegers
from sqsam_deploy.runtimes.onnx.passes.mean_axes import KeepAxesAsAttributes
from sqsam_deploy.runtimes.onnx.passes.module_names import NameByModules
from sqsam_deploy.runtimes.onnx.passes.own_zero_points import SeparateZeroPoints
from sqsam_deploy.runtimes.onnx.passes.patch_rows import EmbedRows
from sqsam_deploy.runtimes.onnx.passes.pixel_inputs import JOINED, TakePixelsAsBytes
from sqsam_deploy.runtimes.onnx.passes.pixel_shuffle import MoveShufflesChannelsLast
from sqsam_deploy.runtimes.onnx.passes.pointwise_upsampling import RewriteUpsampling
from sqsam_deploy.runtimes.onnx.passes.quantized_moves import KeepMovesQuantized
from sqsam_deploy.runtimes.onnx.passes.saturating_relu import DropSaturatingRelu
from sqsam_deploy.runtimes.onnx.passes.transposed_weights import TransposeWeights
from sqsam_deploy.runtimes.onnx.passes.unsigned_activations import CountActivationsFromZero

__all__ = [
    "HALF_PASSES",
    "INT8_PASSES",
    "INT8_PIXEL_PASSES",
    "JOINED",
    "NameByModules",
    "in_sequence",
]

#: For a half-precision graph, whose operator set is an earlier one.
HALF_PASSES: tuple[ir.passes.InPlacePass, ...] = (KeepAxesAsAttributes(),)
_TO_INTEGERS = (
    TransposeWeights(),
    DropSaturatingRelu(),
    KeepMovesQuantized(),
    RewriteUpsampling(),
    ShiftByConvolution(),
    MoveShufflesChannelsLast(),
    CountActivationsFromZero(),
    MultiplyMasksAsIntegers(),
)
#: For an int8 graph whose inputs stay as they are.
INT8_PASSES: tuple[ir.passes.InPlacePass, ...] = (
    *_TO_INTEGERS,
    QuantizeBiases(),
    SeparateZeroPoints(),
)
#: For an int8 graph that takes its pixels as one uint8 input, `PIXELS`.
INT8_PIXEL_PASSES: tuple[ir.passes.InPlacePass, ...] = (
    *_TO_INTEGERS,
    TakePixelsAsBytes(),
    EmbedRows(),
    QuantizeBiases(),
    SeparateZeroPoints(),
)


def in_sequence(*passes: ir.passes.InPlacePass) -> ir.passes.Sequential:
    """Passes as one, each followed by the removal of nodes that nothing reads any more."""
    return ir.passes.Sequential(*(each for p in passes for each in (p, RemoveUnusedNodesPass())))

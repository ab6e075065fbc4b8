"""Int8 numbers of a quantized program written as unsigned ones, which changes no value.

`(q - z) * s` is the same for `q + 128` and `z + 128`. Signed weights have the zero point 0,
unsigned ones 128; activations that begin at zero have -128 as signed numbers, and none as unsigned
ones. coremltools does the second by itself, but not for a map that several operators read.
"""

import copy

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import Node

_SHIFT = 128
_QD = torch.ops.quantized_decomposed
_PER_TENSOR = (_QD.quantize_per_tensor.default, _QD.dequantize_per_tensor.default)


def unsigned_activations(program: ExportedProgram) -> ExportedProgram:
    """Every activation whose range begins at zero as uint8 without a zero point.

    Args:
        program: With `quantized_decomposed` operators; it is not changed.
    """
    changed = copy.deepcopy(program)
    for node in changed.graph.nodes:
        if node.target in _PER_TENSOR and node.args[2] == -_SHIFT:
            value, scale, zero_point, lowest, highest, _ = node.args
            shifted = (zero_point + _SHIFT, lowest + _SHIFT, highest + _SHIFT)
            node.args = (value, scale, *shifted, torch.uint8)
    changed.graph_module.recompile()
    return changed


def unsigned_weights(program: ExportedProgram) -> ExportedProgram:
    """Every weight with a scale a channel as uint8 with the zero point 128.

    Args:
        program: With `quantized_decomposed` operators; it is not changed.
    """
    changed, done = copy.deepcopy(program), set[Node]()
    for node in changed.graph.nodes:
        if node.target is _QD.dequantize_per_channel.default:
            weight, scales, zero_points, axis, lowest, highest, _ = node.args
            for constant, dtype in ((weight, torch.uint8), (zero_points, torch.int64)):
                # One constant can serve two layers.
                if constant not in done:
                    _shift(changed, constant, dtype)
                    done.add(constant)
            node.args = (
                *(weight, scales, zero_points, axis),
                *(lowest + _SHIFT, highest + _SHIFT, torch.uint8),
            )
    changed.graph_module.recompile()
    return changed


def _shift(program: ExportedProgram, constant: Node, dtype: torch.dtype) -> None:
    name = program.graph_signature.inputs_to_buffers[constant.name]
    # Buffers that are not saved with a state dict stand among the constants.
    store = program.state_dict if name in program.state_dict else program.constants
    value: Tensor = store[name]
    store[name] = (value.to(torch.int64) + _SHIFT).to(dtype)
    constant.meta["val"] = constant.meta["val"].to(dtype)

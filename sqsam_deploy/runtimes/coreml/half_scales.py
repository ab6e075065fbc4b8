"""Weight scales too small for half precision, made larger without changing the function.

float16 is exact only down to 2**-14; below it loses bits, and hardware that flushes such numbers
to zero would lose the whole layer. The patch embedding is there: it carries the 1/255 of the
pixels (a scale of 2e-5 on the reference networks). Its weights are scaled by a power of two and its
input by the inverse, which is exact in any binary format.
"""

import copy
import math
from typing import cast

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import Node

#: Smallest normal float16.
SMALLEST_NORMAL = 2.0**-14


def with_normal_scales(program: ExportedProgram) -> ExportedProgram:
    """A quantized program whose weight scales are normal numbers in float16.

    Args:
        program: With `quantized_decomposed` operators; it is not changed.
    """
    changed = copy.deepcopy(program)
    for node in list(changed.graph.nodes):
        if "quantized_decomposed.dequantize_per_channel" in str(node.target):
            _normalize(changed, node)
    changed.graph_module.recompile()
    return changed


def _normalize(program: ExportedProgram, weight: Node) -> None:
    place = program.graph_signature.inputs_to_buffers[cast(Node, weight.args[1]).name]
    # Buffers that are not saved with a state dict stand among the constants.
    store = program.state_dict if place in program.state_dict else program.constants
    scales = cast(Tensor, store[place])
    smallest = float(scales.min())
    if smallest >= SMALLEST_NORMAL or smallest <= 0.0:
        return
    factor = 2.0 ** math.ceil(math.log2(SMALLEST_NORMAL / smallest))
    store[place] = scales * factor
    for user in list(weight.users):
        _divide_input(program, user, factor)


def _divide_input(program: ExportedProgram, layer: Node, factor: float) -> None:
    """The input of a convolution or linear layer, divided where it costs nothing if possible."""
    source = cast(Node, layer.args[0])
    if "quantized_decomposed.dequantize_per_tensor" in str(source.target) and (
        len(source.users) == 1
    ):
        scale = cast(float, source.args[1])
        source.args = (source.args[0], scale / factor, *source.args[2:])
        return
    with program.graph.inserting_before(layer):
        divided = program.graph.call_function(torch.ops.aten.mul.Tensor, (source, 1.0 / factor))
    divided.meta["val"] = source.meta["val"]
    layer.replace_input_with(source, divided)

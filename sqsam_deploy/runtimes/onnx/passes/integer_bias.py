"""Biases in steps of the integer accumulator.

An integer convolution adds its bias to 32-bit sums, whose step is the input's scale times the
weight's. ONNX Runtime rounds a float bias to that step when it loads a file, in its later versions;
earlier ones keep such a convolution in float.
"""

import numpy as np
import onnx_ir as ir

from sqsam_deploy.runtimes.onnx.passes.graph import Emitter, add_constant, array_of, producer_of


class QuantizeBiases(ir.passes.InPlacePass):
    """Stores the bias of each int8 convolution as int32 behind a DequantizeLinear.

    Moves a bias by half a step of the accumulator at most, some 10,000 times less than a step of
    the output.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Applies the pass in place."""
        nodes = [node for node in model.graph if node.op_type == "Conv" and len(node.inputs) == 3]
        count = sum(_quantize(model.graph, node) for node in nodes)
        return ir.passes.PassResult(model, modified=count > 0)


def _quantize(graph: ir.Graph, node: ir.Node) -> bool:
    x, weight = (producer_of(value, "DequantizeLinear") for value in node.inputs[:2])
    value = node.inputs[2]
    bias = array_of(value)
    if x is None or weight is None or value is None or bias is None:
        return False
    input_scale, weight_scale = array_of(x.inputs[1]), array_of(weight.inputs[1])
    assert input_scale is not None and weight_scale is not None
    step = (input_scale * weight_scale).astype(np.float32)
    rounded = np.rint(bias.astype(np.float64) / step)
    if np.abs(rounded).max() > np.iinfo(np.int32).max:
        return False
    inputs = [
        add_constant(graph, f"{value.name}_int32", rounded.astype(np.int32)),
        add_constant(graph, f"{value.name}_step", step),
    ]
    output = ir.val(f"{value.name}_dequantized", value.dtype, value.shape)
    Emitter(graph, node).node("DequantizeLinear", inputs, output, axis=0)
    node.replace_input_with(2, output)
    return True

"""uint8 activations: the same steps, counted from 0.

x86 multiplies unsigned by signed bytes (VNNI's `vpdpbusd`); ONNX Runtime's convolution kernels for
it take uint8 activations and int8 weights, and it has none on x86 for int8 activations.
"""

import numpy as np
import onnx_ir as ir

from sqsam_deploy.runtimes.onnx.passes.graph import add_constant, quantization_of

#: Difference between the zero points of the two element types.
OFFSET = 128


class CountActivationsFromZero(ir.passes.InPlacePass):
    """Turns each int8 activation into uint8, zero point + 128. Exact; weights stay int8."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Applies the pass in place."""
        changed = 0
        for node in model.graph:
            if node.op_type == "QuantizeLinear" and _is_int8(node):
                _shift(model.graph, node)
                node.outputs[0].dtype = ir.DataType.UINT8
                changed += 1
            elif any(_is_shifted(value) for value in node.inputs):
                if node.op_type != "DequantizeLinear":
                    node.outputs[0].dtype = ir.DataType.UINT8
                elif _is_int8(node):
                    _shift(model.graph, node)
        return ir.passes.PassResult(model, modified=changed > 0)


def _is_int8(node: ir.Node) -> bool:
    quantization = quantization_of(node)
    return quantization is not None and quantization.dtype == ir.DataType.INT8


def _is_shifted(value: ir.Value | None) -> bool:
    return value is not None and value.dtype == ir.DataType.UINT8 and value.const_value is None


def _shift(graph: ir.Graph, node: ir.Node) -> None:
    quantization = quantization_of(node)
    assert quantization is not None
    zero_point = quantization.zero_point + OFFSET
    shifted = add_constant(graph, f"zero_point_{zero_point}", np.array(zero_point, np.uint8))
    node.replace_input_with(2, shifted)

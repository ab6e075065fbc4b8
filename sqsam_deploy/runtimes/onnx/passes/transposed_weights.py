"""Linear weights stored the way MatMul reads them.

torch keeps a weight as (out, in) and transposes it in the graph, behind its DequantizeLinear; ONNX
Runtime matches an integer product only where the weight's DequantizeLinear feeds it directly.
"""

import numpy as np
import onnx_ir as ir

from sqsam_deploy.runtimes.onnx.passes.graph import (
    Emitter,
    add_constant,
    array_of,
    first_input,
    producer_of,
)


class TransposeWeights(ir.passes.InPlacePass):
    """Transposes each constant matrix that a Transpose node transposes. Exact."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Applies the pass in place."""
        transposes = [
            node
            for node in model.graph
            if node.op_type == "Transpose" and list(node.attributes["perm"].as_ints()) == [1, 0]
        ]
        count = sum(_transpose(model.graph, node) for node in transposes)
        return ir.passes.PassResult(model, modified=count > 0)


def _transpose(graph: ir.Graph, node: ir.Node) -> bool:
    source = first_input(node)
    dequantize = producer_of(source, "DequantizeLinear")
    stored = source if dequantize is None else first_input(dequantize)
    weight = array_of(stored)
    if weight is None:
        return False
    transposed = add_constant(graph, f"{stored.name}_transposed", np.ascontiguousarray(weight.T))
    if dequantize is None:
        node.outputs[0].replace_all_uses_with(transposed)
        return True
    output = ir.val(f"{source.name}_transposed", source.dtype, transposed.shape)
    Emitter(graph, node).node(
        "DequantizeLinear",
        [transposed, *dequantize.inputs[1:]],
        output,
        axis=1 - dequantize.attributes["axis"].as_int(),
    )
    node.outputs[0].replace_all_uses_with(output)
    return True

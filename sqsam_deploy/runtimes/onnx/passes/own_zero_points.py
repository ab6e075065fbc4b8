"""A zero point of its own for each weight.

The exporter shares one vector of zeros between all weights with as many channels. ONNX Runtime's
option for x86 without VNNI (`session.x64quantprecision`) rewrites weights together with their zero
points, and fails on the second weight that shares one (onnxruntime 1.31).
"""

import onnx_ir as ir

from sqsam_deploy.runtimes.onnx.passes.graph import add_constant, array_of


class SeparateZeroPoints(ir.passes.InPlacePass):
    """Copies the zero points that several weights share. Exact; a few bytes a channel."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Applies the pass in place."""
        separated = 0
        for node in model.graph:
            if node.op_type != "DequantizeLinear" or len(node.inputs) < 3:
                continue
            weight, _, zero_point = node.inputs
            zeros = array_of(zero_point)
            if weight is None or zero_point is None or zeros is None or array_of(weight) is None:
                continue
            if len(zero_point.uses()) > 1:
                name = f"{weight.name}_zero_points"
                node.replace_input_with(2, add_constant(model.graph, name, zeros))
                separated += 1
        return ir.passes.PassResult(model, modified=separated > 0)

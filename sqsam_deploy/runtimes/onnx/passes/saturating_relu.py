"""ReLU that quantization does already.

A range that starts at 0 puts the zero point at the lowest integer, so that QuantizeLinear's
saturation is the ReLU. Without the node, the convolution and its quantization are neighbors and
become one integer kernel.
"""

import onnx_ir as ir

from sqsam_deploy.runtimes.onnx.passes.graph import first_input, quantization_of


class DropSaturatingRelu(ir.passes.InPlacePass):
    """Removes each Relu that only quantizations with zero as their lowest value read. Exact."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Applies the pass in place."""
        relus = [node for node in model.graph if node.op_type == "Relu" and _is_saturation(node)]
        for relu in relus:
            relu.outputs[0].replace_all_uses_with(first_input(relu))
        return ir.passes.PassResult(model, modified=bool(relus))


def _is_saturation(relu: ir.Node) -> bool:
    (output,) = relu.outputs
    return not output.is_graph_output() and all(_starts_at_zero(n) for n in output.consumers())


def _starts_at_zero(node: ir.Node) -> bool:
    if node.op_type != "QuantizeLinear":
        return False
    quantization = quantization_of(node)
    return quantization is not None and quantization.zero_point == quantization.dtype.min

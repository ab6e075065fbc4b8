"""ReLU that quantization does already.

A range that starts at 0 puts the zero point at the lowest integer, so that QuantizeLinear's
saturation is the ReLU. Without the node, the convolution and its quantization are neighbours and
become one integer kernel.
"""

import onnx_ir as ir

from sqsam_deploy.runtimes.onnx.passes.graph import first_input, quantization_of


def drop_saturating_relu(model: ir.Model) -> int:
    """Removes each Relu that is only read by quantizations with zero as their lowest value. Exact.

    Returns:
        Relus removed.
    """
    relus = [node for node in model.graph if node.op_type == "Relu" and _is_saturation(node)]
    for relu in relus:
        relu.outputs[0].replace_all_uses_with(first_input(relu))
    return len(relus)


def _is_saturation(relu: ir.Node) -> bool:
    (output,) = relu.outputs
    return not output.is_graph_output() and all(_starts_at_zero(n) for n in output.consumers())


def _starts_at_zero(node: ir.Node) -> bool:
    if node.op_type != "QuantizeLinear":
        return False
    quantization = quantization_of(node)
    return quantization is not None and quantization.zero_point == quantization.dtype.min

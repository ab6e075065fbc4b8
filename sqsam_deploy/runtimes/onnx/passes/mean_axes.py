"""Means with their axes as an attribute, for operator sets below 18."""

import onnx_ir as ir

from sqsam_deploy.runtimes.onnx.passes.graph import array_of


class KeepAxesAsAttributes(ir.passes.InPlacePass):
    """Makes an attribute of the axes, which operator set 18 has as an input. Exact."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Applies the pass in place."""
        means = [node for node in model.graph if node.op_type == "ReduceMean"]
        count = sum(map(_keep_axes, means))
        return ir.passes.PassResult(model, modified=count > 0)


def _keep_axes(node: ir.Node) -> bool:
    axes = array_of(node.inputs[1]) if len(node.inputs) > 1 else None
    if axes is None:
        return False
    node.attributes.pop("noop_with_empty_axes", None)
    node.attributes["axes"] = ir.AttrInt64s("axes", axes.tolist())
    node.resize_inputs(1)
    return True

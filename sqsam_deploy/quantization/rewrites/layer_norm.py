"""LayerNorm from operators that XNNPACK has.

`native_layer_norm` stays outside ExecuTorch's XNNPACK delegate and cuts the graph in two at every
norm. Here the mean is a product with a column of 1/C.
"""

import torch
from torch.fx import GraphModule, Node
from torch.fx.node import Argument
from torch.fx.passes.infra.pass_base import PassBase, PassResult

_aten = torch.ops.aten

#: Start of the name of the buffers that hold 1/C.
AVERAGING_COLUMN = "averaging_column"


class RewriteLayerNorm(PassBase):
    """Replaces each `layer_norm` over the last axis of a BxNxC tensor."""

    def call(self, module: GraphModule) -> PassResult:
        """Applies the pass in place."""
        norms = [node for node in module.graph.nodes if node.target is _aten.layer_norm.default]
        for node in norms:
            replacement = _insert_norm(module, node)
            node.replace_all_uses_with(replacement)
            module.graph.erase_node(node)
        return PassResult(module, bool(norms))


def _insert_norm(module: GraphModule, norm: Node) -> Node:
    """(x - mean) * rsqrt(variance + eps) * weight + bias, before `norm`."""
    x, _, weight, bias, eps = norm.args[:5]
    channels = int(norm.meta["val"].shape[-1])
    graph = module.graph
    with graph.inserting_before(norm):
        column = graph.get_attr(_averaging_column(module, channels, norm.meta["val"].dtype))

        def call(operator: torch._ops.OpOverload, *args: Argument) -> Node:
            node = graph.call_function(operator, args)
            node.meta["nn_module_stack"] = norm.meta.get("nn_module_stack", {})
            return node

        centered = call(_aten.sub.Tensor, x, call(_aten.bmm.default, x, column))
        squares = call(_aten.mul.Tensor, centered, centered)
        variance = call(_aten.bmm.default, squares, column)
        inverse = call(_aten.rsqrt.default, call(_aten.add.Tensor, variance, eps))
        normed = call(_aten.mul.Tensor, centered, inverse)
        return call(_aten.add.Tensor, call(_aten.mul.Tensor, normed, weight), bias)


def _averaging_column(module: GraphModule, channels: int, dtype: torch.dtype) -> str:
    """Name of a 1xCx1 buffer of 1/C, made once."""
    name = f"{AVERAGING_COLUMN}_{channels}"
    if not hasattr(module, name):
        column = torch.full((1, channels, 1), 1.0 / channels, dtype=dtype)
        module.register_buffer(name, column)
    return name

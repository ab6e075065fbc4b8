"""`matmul` as `bmm`.

torch decomposes a `matmul` of more than two axes into `expand`, `view` and `bmm`; the expansions
do nothing at batch 1, but stay outside ExecuTorch's XNNPACK delegate and cut the graph.
"""

import torch
from torch.fx import GraphModule, Node
from torch.fx.passes.infra.pass_base import PassBase, PassResult

_aten = torch.ops.aten


class RewriteBatchMatmul(PassBase):
    """Replaces each `matmul` of two tensors with the same leading axes."""

    def call(self, module: GraphModule) -> PassResult:
        """Applies the pass in place."""
        products = [node for node in module.graph.nodes if _is_batched(node)]
        for node in products:
            replacement = _insert_bmm(module, node)
            node.replace_all_uses_with(replacement)
            module.graph.erase_node(node)
        return PassResult(module, bool(products))


def _is_batched(node: Node) -> bool:
    if node.target is not _aten.matmul.default:
        return False
    left, right = (argument.meta["val"].shape for argument in node.all_input_nodes)
    return len(left) >= 3 and left[:-2] == right[:-2]


def _insert_bmm(module: GraphModule, product: Node) -> Node:
    graph = module.graph
    shape = list(product.meta["val"].shape)
    with graph.inserting_before(product):
        flat = [_flattened(module, argument) for argument in product.args]
        result = graph.call_function(_aten.bmm.default, tuple(flat))
        result.meta = dict(product.meta)
        if len(shape) == 3:
            return result
        restored = graph.call_function(_aten.reshape.default, (result, shape))
        restored.meta = dict(product.meta)
        return restored


def _flattened(module: GraphModule, argument: object) -> Node:
    """The factor with all leading axes merged into one."""
    assert isinstance(argument, Node)
    shape = list(argument.meta["val"].shape)
    if len(shape) == 3:
        return argument
    node = module.graph.call_function(_aten.reshape.default, (argument, [-1, *shape[-2:]]))
    node.meta = {"nn_module_stack": argument.meta.get("nn_module_stack", {})}
    return node

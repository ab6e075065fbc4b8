"""Mask logits as features times weights, not weights times features.

The product has a few rows and as many columns as the mask has pixels. XNNPACK packs the second
factor before it multiplies: a few kilobytes this way round, the whole feature map the other. That
map lies channels last in memory, which is what the first factor wants.
"""

from torch.fx import GraphModule, Node
from torch.fx.passes.infra.pass_base import PassBase, PassResult

from sqsam_deploy.runtimes.executorch.passes.graph import (
    DEQUANTIZE,
    aten,
    move,
    node_argument,
)

#: A product is turned round where its columns are this many times its rows.
_FLAT = 64

_SWAP = (aten.permute.default, [0, 2, 1])


class PutFeaturesFirst(PassBase):
    """Rewrites each flat `bmm(a, b)` as `bmm(b^T, a^T)^T`."""

    def call(self, module: GraphModule) -> PassResult:
        """Applies the pass in place."""
        graph = module.graph
        products = [n for n in graph.nodes if n.target is aten.bmm.default and _is_flat(n)]
        for node in products:
            weights, features = (node_argument(argument) for argument in node.args)
            with graph.inserting_before(node):
                factors = (_swapped(module, features), move(module, weights, (), [_SWAP]))
                product = graph.call_function(aten.bmm.default, factors)
                logits = move(module, product, (), [_SWAP])
            node.replace_all_uses_with(logits)
            graph.erase_node(node)
        return PassResult(module, bool(products))


def _is_flat(product: Node) -> bool:
    _, rows, columns = product.meta["val"].shape
    return bool(columns > _FLAT * rows)


def _swapped(module: GraphModule, features: Node) -> Node:
    """Transposed while they are still int8, where they are."""
    if features.target is not DEQUANTIZE:
        return move(module, features, (), [_SWAP])
    quantized, *scale = features.args
    moved = move(module, node_argument(quantized), scale, [_SWAP])
    return module.graph.call_function(DEQUANTIZE, (moved, *scale))

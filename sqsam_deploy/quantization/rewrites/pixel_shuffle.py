"""Pixel shuffle as reshape and transpose.

`pixel_shuffle` is a core operator of torch that stays outside ExecuTorch's XNNPACK delegate; moving
values needs no arithmetic, so the parts keep int8 and its scale.
"""

import torch
from torch.fx import GraphModule, Node
from torch.fx.passes.infra.pass_base import PassBase, PassResult

_aten = torch.ops.aten


class RewritePixelShuffle(PassBase):
    """Replaces each `pixel_shuffle` of a batch of one."""

    def call(self, module: GraphModule) -> PassResult:
        """Applies the pass in place."""
        shuffles = [
            node for node in module.graph.nodes if node.target is _aten.pixel_shuffle.default
        ]
        for node in shuffles:
            node.replace_all_uses_with(_insert_moves(module, node))
            module.graph.erase_node(node)
        return PassResult(module, bool(shuffles))


def _insert_moves(module: GraphModule, shuffle: Node) -> Node:
    """1x(C*r*r)xHxW -> CxrxrxHxW -> CxHxrxWxr -> 1xCx(H*r)x(W*r), before `shuffle`."""
    x, factor = shuffle.args
    assert isinstance(x, Node) and isinstance(factor, int)
    _, channels, height, width = x.meta["val"].shape
    split = [channels // factor**2, factor, factor, height, width]
    steps: tuple[tuple[torch._ops.OpOverload, list[int]], ...] = (
        (_aten.reshape.default, split),
        (_aten.permute.default, [0, 3, 1, 4, 2]),
        (_aten.reshape.default, list(shuffle.meta["val"].shape)),
    )
    with module.graph.inserting_before(shuffle):
        for operator, argument in steps:
            x = module.graph.call_function(operator, (x, argument))
            x.meta["nn_module_stack"] = shuffle.meta.get("nn_module_stack", {})
    return x

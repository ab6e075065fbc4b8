"""Constant folding: operators that depend on no input are computed once."""

from typing import Any, cast

import torch
from torch.fx import GraphModule, Node
from torch.fx.node import map_arg
from torch.fx.passes.infra.pass_base import PassBase, PassResult


class FoldConstants(PassBase):
    """Replaces every operator whose inputs are all constant by a buffer with its result.

    A parameter that an operator of the image's path reads directly stays a parameter.
    """

    def call(self, module: GraphModule) -> PassResult:
        """Applies the pass in place."""
        values: dict[Node, object] = {}
        replaced = 0
        for node in list(module.graph.nodes):
            if node.op == "get_attr":
                values[node] = _attribute(module, str(node.target))
            elif node.op == "call_function" and all(i in values for i in node.all_input_nodes):
                values[node] = _evaluate(node, values)
                if isinstance(values[node], torch.Tensor):
                    _replace(module, node, values, f"constant_{replaced}")
                    replaced += 1
        module.graph.eliminate_dead_code()
        return PassResult(module, replaced > 0)


@torch.no_grad()
def _evaluate(node: Node, values: dict[Node, object]) -> object:
    assert callable(node.target)
    args, kwargs = cast(
        "tuple[tuple[Any, ...], dict[str, Any]]",
        map_arg((node.args, node.kwargs), lambda source: cast(Any, values[source])),
    )
    return node.target(*args, **kwargs)


def _replace(module: GraphModule, node: Node, values: dict[Node, object], name: str) -> None:
    value = values[node]
    assert isinstance(value, torch.Tensor)
    module.register_buffer(name, value.detach().clone())
    with module.graph.inserting_before(node):
        constant = module.graph.get_attr(name)
    constant.meta = dict(node.meta)
    values[constant] = value
    node.replace_all_uses_with(constant)
    module.graph.erase_node(node)


def _attribute(module: GraphModule, target: str) -> object:
    value: object = module
    for part in target.split("."):
        value = getattr(value, part)
    return value

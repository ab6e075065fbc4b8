"""The product that makes the masks, without a dimension that the Neural Engine cannot have.

Weights 1xMxC times a map that was flattened to 1xCxHW has a dimension of 65,536 at 256x256; the
Neural Engine takes 16,384 at most (`device.DIMENSIONS`). Row by row the same products and sums are
1xHxMxC times 1xHxCxW, which is exact.
"""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import Graph, Node

from sqsam_deploy.runtimes.coreml.device import LARGEST_DIMENSION

_aten, _qd = torch.ops.aten, torch.ops.quantized_decomposed
_PRODUCTS = (_aten.bmm.default, _aten.matmul.default)
_PER_TENSOR = (_qd.quantize_per_tensor.default, _qd.dequantize_per_tensor.default)
_FLATTENING = (_aten.flatten.using_ints, _aten.reshape.default, _aten.view.default)
_MAP_RANK = 4
_SWAP_CHANNELS_AND_ROWS = [0, 2, 1, 3]


def masks_by_rows(program: ExportedProgram, largest: int = LARGEST_DIMENSION) -> ExportedProgram:
    """The program with each product over too many pixels taken row by row.

    Args:
        program: Not decomposed; it is not changed.
        largest: Dimension up to which a product stays as it is.
    """
    found = [node for node in program.graph.nodes if _is_too_wide(node, largest)]
    if not found:
        return program
    changed = copy.deepcopy(program)
    for node in [node for node in changed.graph.nodes if _is_too_wide(node, largest)]:
        _rewrite(changed.graph, node)
    changed.graph.eliminate_dead_code()
    changed.graph_module.recompile()
    return changed


def _is_too_wide(node: Node, largest: int) -> bool:
    """Whether it is weights times a flattened map, with a map behind it again."""
    if node.target not in _PRODUCTS or node.meta["val"].shape[-1] <= largest:
        return False
    return _flattened(node) is not None and _unflattened(node)[1] != node


def _flattened(product: Node) -> tuple[Node, list[Node]] | None:
    """The map that was flattened, and what quantizes it behind that; None for anything else."""
    node, passed = product.args[1], list[Node]()
    while isinstance(node, Node) and node.target in _PER_TENSOR:
        passed.append(node)
        node = node.args[0]
    if not isinstance(node, Node) or node.target not in _FLATTENING:
        return None
    source = node.args[0]
    is_map = isinstance(source, Node) and source.meta["val"].dim() == _MAP_RANK
    return (source, passed[::-1]) if isinstance(source, Node) and is_map else None


def _unflattened(product: Node) -> tuple[Node | None, Node]:
    """The summand of the product, and the node that makes a map of it; itself where none does."""
    added, last = None, product
    if [user.target for user in product.users] == [_aten.add.Tensor]:
        (last,) = product.users
        first, second = last.args[:2]
        added = second if first is product else first
    users = list(last.users)
    if len(users) == 1 and users[0].meta["val"].dim() == _MAP_RANK:
        return (added if isinstance(added, Node) else None), users[0]
    return None, product


def _rewrite(graph: Graph, product: Node) -> None:
    weights, found = product.args[0], _flattened(product)
    added, masks = _unflattened(product)
    assert isinstance(weights, Node) and found is not None
    features, quantizing = found
    with graph.inserting_before(masks):
        call = _caller(graph)
        for step in quantizing:
            features = call(step.target, features, *step.args[1:])
        rows = call(_aten.permute.default, features, _SWAP_CHANNELS_AND_ROWS)
        by_rows = call(_aten.matmul.default, call(_aten.unsqueeze.default, weights, 1), rows)
        logits = call(_aten.permute.default, by_rows, _SWAP_CHANNELS_AND_ROWS)
        if added is not None:
            logits = call(_aten.add.Tensor, logits, call(_aten.unsqueeze.default, added, -1))
    logits.meta["val"] = masks.meta["val"]
    masks.replace_all_uses_with(logits)


def _caller(graph: Graph) -> Callable[..., Node]:
    """Adds a call to the graph, with the value that it will have."""

    def call(target: Any, *args: Any) -> Node:
        node = graph.call_function(target, args)
        node.meta["val"] = target(*(a.meta["val"] if isinstance(a, Node) else a for a in args))
        return node

    return call

"""Pixel shuffles that move blocks of channels instead of single values.

torch's pixel shuffle takes the four positions of a channel from neighboring channels. Where a 1x1
convolution makes those channels, its rows can be put into the order (row, column, channel), in
which whole blocks move; the same map comes out.
"""

import torch
from torch import Tensor
from torch.fx import GraphModule, Node
from torch.fx.passes.infra.pass_base import PassBase, PassResult

from sqsam_deploy.runtimes.executorch.passes.graph import (
    DEQUANTIZE,
    DEQUANTIZE_CHANNELS,
    QUANTIZE,
    add_constant,
    aten,
    constant,
    integers,
    node_argument,
)

#: Operators that treat each channel by itself.
_BY_CHANNEL = (aten.relu.default, aten.add.Tensor, aten.mul.Tensor, QUANTIZE, DEQUANTIZE)
#: The permutation of `RewritePixelShuffle`, and the one for channels with their position first.
_CHANNEL_FIRST, _POSITION_FIRST = [0, 3, 1, 4, 2], [2, 3, 0, 4, 1]


class OrderShuffledChannels(PassBase):
    """Reorders what each pixel shuffle of a 1x1 convolution's output reads."""

    def call(self, module: GraphModule) -> PassResult:
        """Applies the pass in place."""
        shuffles = [n for n in module.graph.nodes if _is_shuffle(n)]
        count = sum(_reorder(module, node) for node in shuffles)
        return PassResult(module, count > 0)


def _is_shuffle(node: Node) -> bool:
    return node.target is aten.permute.default and integers(node.args[1]) == _CHANNEL_FIRST


def _reorder(module: GraphModule, permute: Node) -> bool:
    split = _behind_rounding(node_argument(permute.args[0]))
    between = _channelwise(node_argument(split.args[0]))
    if split.target is not aten.reshape.default or between is None:
        return False
    channels, rows, columns, height, width = integers(split.args[1])
    order = torch.arange(channels * rows * columns).reshape(channels, rows, columns)
    order = order.permute(1, 2, 0).flatten()
    for node, index in between:
        with module.graph.inserting_before(node):
            node.args = tuple(
                _reordered(module, argument, order) if position == index else argument
                for position, argument in enumerate(node.args)
            )
    split.args = (split.args[0], [rows, columns, channels, height, width])
    permute.args = (permute.args[0], _POSITION_FIRST)
    return True


def _behind_rounding(node: Node) -> Node:
    """The node in front of pairs of quantize and dequantize."""
    while node.target in (QUANTIZE, DEQUANTIZE):
        node = node_argument(node.args[0])
    return node


def _channelwise(node: Node) -> list[tuple[Node, int]] | None:
    """The constants of each channel from here back to a 1x1 convolution: reader and argument.

    None where something else lies in between.
    """
    found = []
    while node.target in _BY_CHANNEL:
        if node.target in (aten.add.Tensor, aten.mul.Tensor):
            found.append((node, 1))
        node = node_argument(node.args[0])
    if node.target is not aten.conv2d.default or len(node.users) != 1:
        return None
    return [*found, (node, 1), (node, 2)]


def _reordered(module: GraphModule, argument: object, order: Tensor) -> Node:
    """A constant with the channels of its axis of that length in another order."""
    node = node_argument(argument)
    if node.target is DEQUANTIZE_CHANNELS:
        inner = [_reordered(module, each, order) for each in node.args[:3]]
        return module.graph.call_function(DEQUANTIZE_CHANNELS, (*inner, *node.args[3:]))
    if node.target is DEQUANTIZE:
        inner = [_reordered(module, node.args[0], order)]
        return module.graph.call_function(DEQUANTIZE, (*inner, *node.args[1:]))
    value = constant(module, node)
    axis = 1 if value.dim() == 4 and value.shape[0] == 1 else 0
    return add_constant(module, node, value.index_select(axis, order))

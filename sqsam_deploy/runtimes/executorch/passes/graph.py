"""Helpers of the passes on a quantized `torch.fx` graph."""

from collections.abc import Sequence

import torch
import torchao.quantization.pt2e.quantize_pt2e  # noqa: F401  registers quantized_decomposed
from torch import Tensor
from torch.fx import GraphModule, Node
from torch.fx.node import Argument

from sqsam_deploy.quantization.graph import constant as constant

aten = torch.ops.aten
QUANTIZE = torch.ops.quantized_decomposed.quantize_per_tensor.default
DEQUANTIZE = torch.ops.quantized_decomposed.dequantize_per_tensor.default
DEQUANTIZE_CHANNELS = torch.ops.quantized_decomposed.dequantize_per_channel.default

#: An operator that only moves values, and its one argument besides the tensor.
Move = tuple[torch._ops.OpOverload, list[int]]


def node_argument(argument: object) -> Node:
    """An argument that is known to be a node."""
    assert isinstance(argument, Node)
    return argument


def integers(argument: object) -> list[int]:
    """A shape, a stride or an order of axes."""
    assert isinstance(argument, list | tuple)
    return [int(each) for each in argument]


def add_constant(module: GraphModule, like: object, value: Tensor) -> Node:
    """A new buffer, named after the one it stands for, at the graph's insertion point."""
    name = str(node_argument(like).target).replace(".", "_")
    while hasattr(module, name):
        name += "_"
    module.register_buffer(name, value.contiguous())
    return module.graph.get_attr(name)


def move(
    module: GraphModule, value: Node, scale: Sequence[Argument], moves: Sequence[Move]
) -> Node:
    """The value after some moves, at the graph's insertion point.

    Args:
        module: Whose graph grows.
        value: Quantized where `scale` is given.
        scale: The arguments of its quantization, which moving keeps; empty in a float program.
        moves: In order.
    """
    for operator, argument in moves:
        if scale:
            value = module.graph.call_function(DEQUANTIZE, (value, *scale))
        value = module.graph.call_function(operator, (value, argument))
        if scale:
            value = module.graph.call_function(QUANTIZE, (value, *scale))
    return value


def only_user(node: Node) -> Node | None:
    """The one node that reads a value, or None where there are more or none."""
    return next(iter(node.users)) if len(node.users) == 1 else None

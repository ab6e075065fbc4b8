"""Reading and changing a traced graph: where a node comes from, its layers and their constants."""

import operator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.fx import GraphModule, Node
from torch.fx.node import map_arg

#: Operators that multiply a value with weights, by the name people know them under: their arguments
#: begin with value, weight, bias.
LAYERS: dict[Any, str] = {
    torch.ops.aten.conv2d.default: "conv2d",
    torch.ops.aten.conv_transpose2d.input: "conv_transpose2d",
    torch.ops.aten.linear.default: "linear",
}


def module_name(node: Node) -> str:
    """Dotted name of the module whose forward a node belongs to; empty at the top.

    `torch.export` records the stack of modules as {key: (path, type)}, with paths that look like
    `L['self'].encoder.levels.0` or `encoder.levels.0`, depending on how often it was traced.
    """
    stack = node.meta.get("nn_module_stack")
    if not stack:
        return ""
    path = str(list(stack.values())[-1][0])
    return path.removeprefix("L['self']").removeprefix(".").replace("_modules.", "")


def layer_bias(node: Node) -> Node | None:
    """The constant that a layer adds; None where it has none."""
    bias = node.args[2] if len(node.args) > 2 else None
    return bias if isinstance(bias, Node) else None


def channel_axis(node: Node) -> int:
    """Axis of the channels of what a layer gives: 1xCxHxW, or ...xC of a linear layer."""
    axes = int(node.meta["val"].dim())
    return 1 if axes == 4 else axes - 1


def constant(module: GraphModule, node: object) -> Tensor:
    """The parameter or buffer that a `get_attr` node reads."""
    assert isinstance(node, Node) and node.op == "get_attr", node
    value = operator.attrgetter(str(node.target))(module)
    assert isinstance(value, Tensor)
    return value.detach()


def constant_value(module: GraphModule, node: Node) -> Tensor:
    """A constant, or what is computed from constants alone: a weight, restored from int8."""
    if node.op == "get_attr":
        return constant(module, node)
    assert callable(node.target)
    known = partial(constant_value, module)
    value: Tensor = node.target(*map_arg(node.args, known), **map_arg(node.kwargs, known))
    return value


def replace_constant(module: GraphModule, node: Node, value: Tensor) -> None:
    """Gives the parameter or buffer that a `get_attr` node reads another value."""
    path, _, name = str(node.target).rpartition(".")
    owner = module.get_submodule(path)
    is_parameter = isinstance(getattr(owner, name), nn.Parameter)
    setattr(owner, name, nn.Parameter(value, requires_grad=False) if is_parameter else value)

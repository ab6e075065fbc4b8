"""Exported programs as coremltools takes them, and the weight-only variant of a quantized one."""

import copy
from typing import Any

import torch
from torch.export import ExportedProgram
from torch.fx import Node
from torch.fx.node import map_aggregate

_TRANSPARENT = (
    torch.ops.aten.alias.default,
    torch.ops.aten.detach.default,
    torch.ops.aten._assert_tensor_metadata.default,
)


def decomposed(program: ExportedProgram) -> ExportedProgram:
    """The core-ATen program, without the nodes that only name a value again.

    coremltools 9.0 raises "Provided Dialect: TRAINING" without the decomposition, and
    "Unsupported fx node alias" on `alias`.
    """
    core: ExportedProgram = program.run_decompositions({})
    for node in list(core.graph.nodes):
        if node.target in _TRANSPARENT:
            _bypass(core, node, node.args[0])
    core.graph_module.recompile()
    return core


def single_precision(program: ExportedProgram) -> ExportedProgram:
    """A half-precision program in float32, with the same (already rounded) weights.

    coremltools 9.0 does not convert half-precision transposed convolutions ("bias must have the
    same data type as weight"). Its own float16 pass rounds the same weights to the same values.
    A program without half precision is returned as it is.
    """
    tensors = (*program.state_dict.values(), *program.constants.values())
    if not any(getattr(tensor, "dtype", None) == torch.float16 for tensor in tensors):
        return program
    # A copy: the module shares its weights with the program, which other runtimes still need.
    module = copy.deepcopy(program.module())
    for node in list(module.graph.nodes):
        if node.target == torch.ops.aten._assert_tensor_metadata.default:
            module.graph.erase_node(node)
            continue
        node.args = map_aggregate(node.args, _widened)
        node.kwargs = map_aggregate(node.kwargs, _widened)
    module.recompile()
    example, _ = program.example_inputs
    return torch.export.export(module.float(), example)


def _widened(argument: Any) -> Any:
    return torch.float32 if argument is torch.float16 else argument


def weights_only(program: ExportedProgram) -> ExportedProgram:
    """A quantized program whose activations stay in floating point.

    Every `quantize` with the `dequantize` behind it is taken out; what is left are the
    `dequantize` nodes on int8 weights, so weights and scales are those of the quantized program.

    Args:
        program: With `quantized_decomposed` operators, from PT2E.
    """
    changed = copy.deepcopy(program)
    for node in list(changed.graph.nodes):
        source = node.args[0] if node.args else None
        if _is(node, "dequantize") and isinstance(source, Node) and _is(source, "quantize"):
            _bypass(changed, node, source.args[0])
    for node in reversed(changed.graph.nodes):
        if _is(node, "quantize") and not node.users:
            changed.graph.erase_node(node)
    changed.graph_module.recompile()
    return changed


def _is(node: Node, verb: str) -> bool:
    """Whether a node is one of PT2E's `quantize_per_...` or `dequantize_per_...`."""
    name = str(node.target)
    return node.op == "call_function" and name.startswith(f"quantized_decomposed.{verb}_per_")


def _bypass(program: ExportedProgram, node: Node, source: object) -> None:
    if not isinstance(source, Node):
        raise TypeError(f"{node.name} does not take the result of another node")
    if node.users:
        node.replace_all_uses_with(source)
        program.graph_signature.replace_all_uses(node.name, source.name)
    program.graph.erase_node(node)

"""Nodes and values named after the modules they come from: `encoder.levels.0.conv.1/Conv`.

torch's exporter numbers the nodes of a whole graph, so one new operator renames all that follow. It
also notes the modules that a node lies in ("pkg.torch.onnx.name_scopes"), which is what Netron and
a profile of ONNX Runtime show now.
"""

import ast
from collections import Counter

import onnx_ir as ir

_SCOPES = "pkg.torch.onnx.name_scopes"
#: What torch calls int8 weights that its quantizer froze.
_FROZEN = "_frozen_param"
#: Inputs of the DequantizeLinear of a weight.
_PARTS = ("weight", "weight_scale", "weight_zero_point")


class NameByModules(ir.passes.InPlacePass):
    """Renames everything but inputs, outputs and constants with a name of their own."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Applies the pass in place."""
        modules = _modules(model.graph)
        used: Counter[str] = Counter()
        for node in model.graph:
            module = modules.get(node, "")
            node.name = _unique(f"{module}/{node.op_type}" if module else node.op_type, used)
            for index, output in enumerate(node.outputs):
                if not output.is_graph_output():
                    output.name = f"{node.name}:{index}" if index else node.name
            if _is_frozen(node.inputs[0] if node.inputs else None):
                _name_weight(node, module, used)
        return ir.passes.PassResult(model, modified=True)


def _is_frozen(value: ir.Value | None) -> bool:
    return value is not None and str(value.name).startswith(_FROZEN)


def _name_weight(node: ir.Node, module: str, used: Counter[str]) -> None:
    """An int8 weight, and its scale and zero point where no other weight shares them."""
    for value, part in zip(node.inputs, _PARTS, strict=False):
        if value is not None and value.is_initializer() and len(value.uses()) == 1:
            value.name = _unique(f"{module}.{part}", used)


def _unique(name: str, used: Counter[str]) -> str:
    used[name] += 1
    return name if used[name] == 1 else f"{name}_{used[name] - 1}"


def _modules(graph: ir.Graph) -> dict[ir.Node, str]:
    """The module of each node; of one without, that of what it reads, or else of its reader."""
    found: dict[ir.Node, str] = {}
    for node in graph:
        producers = [value.producer() for value in node.inputs if value is not None]
        read = (found[producer] for producer in producers if producer in found)
        if module := _own_module(node) or next(read, ""):
            found[node] = module
    for node in reversed(graph):
        readers = (reader for output in node.outputs for reader in output.consumers())
        if node not in found and (module := next((found[r] for r in readers if r in found), "")):
            found[node] = module
    return found


def _own_module(node: ir.Node) -> str:
    """The innermost module of torch's note, whose last entry is the operator itself."""
    note = node.metadata_props.get(_SCOPES)
    modules = [] if note is None else [scope for scope in ast.literal_eval(note)[:-1] if scope]
    return modules[-1] if modules else ""

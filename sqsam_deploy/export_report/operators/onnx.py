"""An `.onnx` as ONNX Runtime runs it: after its own optimizations, seen in its profile."""

from dataclasses import dataclass
from typing import Any

from sqsam_deploy.benchmark.profiling.onnx import Trace
from sqsam_deploy.export_report.operators.counts import OperatorCount, counted

_INT8 = ("int8", "uint8")
_CONVERSIONS = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
#: Between element types of floating point, and between ONNX Runtime's memory layouts.
_REARRANGEMENTS = ("Cast", "ReorderInput", "ReorderOutput")


@dataclass(frozen=True)
class RunOperators:
    """The kernels of one inference.

    Attributes:
        int8: Kernels with an int8 input, whatever they return.
        in_float: All others but the conversions.
        conversions: Quantizing, dequantizing, casts and layout changes.
    """

    int8: tuple[OperatorCount, ...]
    in_float: tuple[OperatorCount, ...]
    conversions: tuple[OperatorCount, ...]


def run_operators(trace: Trace) -> RunOperators:
    """Sorts the kernels of a profile; each node counts once, however often it ran."""
    nodes = {
        event["args"]["node_index"]: event["args"]
        for event in trace
        if event["name"].endswith("_kernel_time")
    }
    kinds: dict[str, list[str]] = {"int8": [], "float": [], "conversion": []}
    for node in nodes.values():
        kinds[_kind(node)].append(node["op_name"])
    return RunOperators(
        int8=counted(kinds["int8"]),
        in_float=counted(kinds["float"]),
        conversions=counted(kinds["conversion"]),
    )


def _kind(node: dict[str, Any]) -> str:
    if node["op_name"] in (*_CONVERSIONS, *_REARRANGEMENTS):
        return "conversion"
    types = [next(iter(tensor)) for tensor in node["input_type_shape"]]
    return "int8" if any(name in _INT8 for name in types) else "float"

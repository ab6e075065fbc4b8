"""A `.tflite`, looked into: its bytes, and which of its operators XNNPACK takes."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from sqsam_deploy.artifact.metadata import METADATA_KEY
from sqsam_deploy.runtimes.inspection import (
    Inspection,
    Kind,
    OperatorCount,
    OperatorGroup,
    Part,
    count_operators,
    without_empty,
)
from sqsam_deploy.runtimes.litert.model_file import entries, read_model
from sqsam_deploy.runtimes.litert.session import LiteRtNetwork

if TYPE_CHECKING:
    from ai_edge_litert import schema_py_generated as schema
    from ai_edge_litert.interpreter import Interpreter

_DELEGATE = "DELEGATE"
_CONVERSIONS = ("QUANTIZE", "DEQUANTIZE")
_SCALE_BYTES, _ZERO_POINT_BYTES = 4, 8


def inspect_tflite(path: Path) -> Inspection:
    """A file's bytes, and its operators as they run on this machine.

    Raises:
        ArtifactError: The file is damaged.
    """
    network = LiteRtNetwork(path.read_bytes(), path, threads=1)
    return Inspection(_parts(read_model(path), path.stat().st_size), _operators(network))


def _parts(model: "schema.Model", size: int) -> tuple[Part, ...]:
    graph = model.Subgraphs(0)
    tensors = [graph.Tensors(index) for index in range(graph.TensorsLength())]
    constants = _constants(model, tensors)
    scales = sum(_scale_bytes(tensor) for tensor in tensors)
    metadata = _stored(model, METADATA_KEY)
    return without_empty(
        *constants,
        Part("scales", "scales and zero points", scales),
        Part("metadata", f"'{METADATA_KEY}' metadata (JSON)", metadata),
        Part(
            "program",
            f"{graph.OperatorsLength()} operators, tensors, framing",
            size - scales - metadata - sum(part.bytes for part in constants),
        ),
    )


def _constants(model: "schema.Model", tensors: "Iterable[schema.Tensor]") -> list[Part]:
    """The numbers in the buffers; int32 without a scale are shapes and axes."""
    sizes: Counter[tuple[Kind, str]] = Counter()
    stored = {tensor.Buffer(): tensor for tensor in tensors}
    for index, tensor in stored.items():
        element = _element(tensor)
        kind: Kind = "program" if element == "int32" and not _scale_bytes(tensor) else "weights"
        sizes[kind, element] += model.Buffers(index).DataLength()
    names: dict[Kind, str] = {"weights": "constants, {}", "program": "shapes and axes, {}"}
    return [
        Part(kind, names[kind].format(element), size)
        for (kind, element), size in sorted(sizes.items(), reverse=True)
    ]


def _element(tensor: "schema.Tensor") -> str:
    from ai_edge_litert import schema_py_generated as schema

    names: dict[int, str] = {
        value: name.lower() for name, value in vars(schema.TensorType).items() if name.isupper()
    }
    return names[tensor.Type()]


def _scale_bytes(tensor: "schema.Tensor") -> int:
    found = tensor.Quantization()
    if found is None:
        return 0
    return int(_SCALE_BYTES * found.ScaleLength() + _ZERO_POINT_BYTES * found.ZeroPointLength())


def _stored(model: "schema.Model", key: str) -> int:
    return sum(
        model.Buffers(entry.Buffer()).DataLength()
        for name, entry in entries(model).items()
        if name == key
    )


@dataclass(frozen=True)
class _Node:
    """One operator of the loaded graph; tensors by number."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def _operators(network: LiteRtNetwork) -> tuple[OperatorGroup, ...]:
    """As ExecuTorch's: what XNNPACK does not take, its calls, and what it computes in what type."""
    nodes = _nodes(network.interpreter)
    calls = [node for node in nodes if node.name == _DELEGATE]
    others = [node for node in nodes if node.name != _DELEGATE]
    inside = _inside(calls, others)
    types = {each["index"]: each["dtype"] for each in network.interpreter.get_tensor_details()}
    return (
        OperatorGroup(
            "outside the delegate",
            count_operators(node.name for node in others if node not in inside),
            is_costly=True,
        ),
        OperatorGroup("calls of the delegate", (OperatorCount("XNNPACK", len(calls)),)),
        *(
            OperatorGroup(
                title, count_operators(node.name for node in inside if _kind(node, types) == title)
            )
            for title in ("inside, int8", "inside, float", "conversions")
        ),
    )


def _nodes(interpreter: "Interpreter") -> list[_Node]:
    return [
        _Node(node["op_name"], tuple(map(int, node["inputs"])), tuple(map(int, node["outputs"])))
        for node in interpreter._get_ops_details()
    ]


def _inside(calls: list[_Node], others: list[_Node]) -> set[_Node]:
    """The operators that the calls replace: all that lie between their inputs and outputs."""
    makers = {output: node for node in others for output in node.outputs}
    found: set[_Node] = set()
    for call in calls:
        reached = list(call.outputs)
        while reached:
            tensor = reached.pop()
            node = makers.get(tensor)
            if node is None or node in found or tensor in call.inputs:
                continue
            found.add(node)
            reached += node.inputs
    return found


def _kind(node: _Node, types: Mapping[int, Any]) -> str:
    if node.name in _CONVERSIONS:
        return "conversions"
    is_int8 = any(types[index] == np.int8 for index in node.inputs if index in types)
    return "inside, int8" if is_int8 else "inside, float"

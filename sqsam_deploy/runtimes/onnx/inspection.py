"""Bytes of an `.onnx`: initializers and what describes the graph."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from sqsam_deploy.runtimes.inspection import Kind, Part, without_empty
from sqsam_deploy.runtimes.onnx.model_file import read_model

if TYPE_CHECKING:
    from onnx import GraphProto, TensorProto

#: Inputs that are a scale or a zero point, by operator (ONNX and ONNX Runtime's own).
_SCALE_INPUTS = {
    "QuantizeLinear": (1, 2),
    "DequantizeLinear": (1, 2),
    "QLinearConv": (1, 2, 4, 5, 6, 7),
    "QLinearMatMul": (1, 2, 4, 5, 6, 7),
    "QLinearAdd": (1, 2, 4, 5, 6, 7),
    "QLinearMul": (1, 2, 4, 5, 6, 7),
    "QGemm": (1, 2, 4, 5, 7, 8),
}
_DATA_NAMES: dict[Kind, str] = {
    "weights": "initializers, {}",
    "scales": "scales and zero points, {}",
    "program": "shapes, axes and indices, {}",
}


def onnx_parts(path: Path) -> tuple[Part, ...]:
    """Parts of an ONNX file.

    Raises:
        ArtifactError: The file is damaged.
    """
    model = read_model(path)
    graph = model.graph
    data = _data_parts(graph)
    metadata = sum(entry.ByteSize() for entry in model.metadata_props)
    nodes = sum(node.ByteSize() for node in graph.node)
    values = sum(value.ByteSize() for value in graph.value_info)
    counted = sum(part.bytes for part in data) + metadata + nodes + values
    return without_empty(
        *data,
        Part("program", f"{len(graph.node)} nodes", nodes),
        Part("program", "types and shapes of values", values),
        Part("program", "names and shapes of initializers, framing", path.stat().st_size - counted),
        Part("metadata", "metadata properties (JSON)", metadata),
    )


def _data_parts(graph: "GraphProto") -> list[Part]:
    """The numbers in the initializers, without their names and shapes."""
    import onnx

    scales = _scale_names(graph)
    sizes: Counter[tuple[Kind, str]] = Counter()
    for tensor in graph.initializer:
        element = onnx.TensorProto.DataType.Name(tensor.data_type).lower()
        kind: Kind = "program" if element == "int64" else "weights"
        sizes["scales" if tensor.name in scales else kind, element] += _data_size(tensor)
    return [
        Part(kind, _DATA_NAMES[kind].format(element), size)
        for (kind, element), size in sorted(sizes.items(), reverse=True)
    ]


def _scale_names(graph: "GraphProto") -> set[str]:
    return {
        node.input[index]
        for node in graph.node
        for index in _SCALE_INPUTS.get(node.op_type, ())
        if index < len(node.input)
    }


def _data_size(tensor: "TensorProto") -> int:
    import onnx

    return onnx.numpy_helper.to_array(tensor).nbytes if tensor.raw_data else 0

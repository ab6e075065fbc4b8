"""The .tflite file: a flatbuffer with the graph, the weights and the metadata.

The schema is LiteRT's `schema.fbs`, through the classes that ai-edge-litert generates from it.
"""

import struct
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.artifact.files import require_file
from sqsam_deploy.artifact.metadata import METADATA_KEY, ArtifactMetadata, stored_metadata
from sqsam_deploy.errors import ArtifactError

if TYPE_CHECKING:
    from ai_edge_litert import schema_py_generated as schema

_IDENTIFIER = b"TFL3"
#: Tells XNNPACK that it may compute the float graph in half precision, sums included, where the
#: processor can; from LiteRT's `reduced_precision_metadata.h`.
_HALF_KEY, _HALF_VALUE = "reduced_precision_support", b"fp16accfp16"
#: Constants are read in place, by kernels that load 16 bytes at a time (`schema.fbs`).
_ALIGNMENT = 16
#: The first version of the operator that takes float16.
_DEQUANTIZE_VERSION = 3


def read_model(path: Path) -> "schema.Model":
    """The file, every part of which lies inside it.

    Raises:
        ArtifactError: The file is missing, damaged or of another kind.
    """
    from ai_edge_litert import schema_py_generated as schema

    require_file(path)
    content = path.read_bytes()
    if content[4:8] != _IDENTIFIER:
        raise ArtifactError(f"{path} is damaged or no LiteRT file: export it or download it again")
    try:
        model = schema.Model.GetRootAs(content)
        whole = all(_is_inside(model.Buffers(index)) for index in range(model.BuffersLength()))
    except (struct.error, IndexError, ValueError, TypeError, OverflowError):
        whole = False
    if not whole:
        raise ArtifactError(
            f"{path} is damaged or cut short: export it or download it again"
        ) from None
    return model


def _is_inside(buffer: "schema.Buffer") -> bool:
    length = buffer.DataLength()
    return length == 0 or buffer.Data(length - 1) is not None


def metadata_of(model: "schema.Model", path: Path) -> ArtifactMetadata:
    """The metadata that `finished` stored.

    Raises:
        ArtifactError: There is none, or it is damaged or of another version.
    """
    try:
        found = entries(model).get(METADATA_KEY)
        if found is not None:
            stored = model.Buffers(found.Buffer())
            return stored_metadata(stored.DataAsNumpy().tobytes(), str(path))
    except (struct.error, IndexError, ValueError, TypeError, AttributeError):
        raise ArtifactError(f"{path} is damaged: export it or download it again") from None
    raise ArtifactError(f"{path} has no '{METADATA_KEY}' metadata: no artifact of this tool")


def entries(model: "schema.Model") -> "dict[str, schema.Metadata]":
    """The entries that are stored beside the graph, by name."""
    found = [model.Metadata(index) for index in range(model.MetadataLength())]
    return {bytes(entry.Name() or b"").decode(errors="replace"): entry for entry in found}


def finished(content: bytes, metadata: ArtifactMetadata) -> bytes:
    """The converter's file with metadata, and as the metadata describe it.

    The same bytes for the same bytes.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    (graph,) = model.subgraphs
    _return_floats(model, graph)
    if metadata.precision == "fp16":
        _store_halves(model, graph)
        _add_entry(model, _HALF_KEY, _HALF_VALUE)
    _shorten_names(model, graph)
    _add_entry(model, METADATA_KEY, metadata.model_dump_json().encode())
    return _packed(model, len(content))


def _add_entry(model: "schema.ModelT", name: str, value: bytes) -> None:
    from ai_edge_litert import schema_py_generated as schema

    entry = schema.MetadataT()
    entry.name, entry.buffer = name, _add_buffer(model, np.frombuffer(value, np.uint8))
    model.metadata = [*(model.metadata or []), entry]


def _add_buffer(model: "schema.ModelT", values: NDArray[np.uint8]) -> int:
    from ai_edge_litert import schema_py_generated as schema

    buffer = schema.BufferT()
    buffer.data = values
    model.buffers.append(buffer)
    return len(model.buffers) - 1


def _return_floats(model: "schema.ModelT", graph: "schema.SubGraphT") -> None:
    """Puts back the dequantization of outputs, which the converter leaves to the caller."""
    from ai_edge_litert import schema_py_generated as schema

    graph.outputs = list(graph.outputs)
    for position, index in enumerate(graph.outputs):
        if graph.tensors[index].type != schema.TensorType.INT8:
            continue
        floats = _new_tensor(graph, graph.tensors[index], schema.TensorType.FLOAT32)
        graph.operators.append(_dequantize(model, index, floats))
        graph.outputs[position] = floats
        for entry in model.signatureDefs[0].outputs:
            if entry.tensorIndex == index:
                entry.tensorIndex = floats


def _store_halves(model: "schema.ModelT", graph: "schema.SubGraphT") -> None:
    """Weights of convolutions and linear layers in half precision, dequantized when loaded.

    Only values that half precision holds exactly: those that the program has in it.
    """
    from ai_edge_litert import schema_py_generated as schema

    readers = Counter(tensor.buffer for tensor in graph.tensors)
    dequantized = []
    for index in _layer_constants(model, graph):
        tensor = graph.tensors[index]
        buffer = model.buffers[tensor.buffer]
        halves = _as_halves(buffer.data)
        if halves is None or readers[tensor.buffer] > 1:
            continue
        floats = _new_tensor(graph, tensor, schema.TensorType.FLOAT32)
        tensor.type, buffer.data = schema.TensorType.FLOAT16, halves
        for operator in graph.operators:
            operator.inputs = [floats if each == index else each for each in operator.inputs]
        dequantized.append(_dequantize(model, index, floats))
    graph.operators = dequantized + graph.operators


def _layer_constants(model: "schema.ModelT", graph: "schema.SubGraphT") -> list[int]:
    """Weights and biases, float32, in the order in which they are read."""
    from ai_edge_litert import schema_py_generated as schema

    layers = (schema.BuiltinOperator.CONV_2D, schema.BuiltinOperator.FULLY_CONNECTED)
    read = (
        int(index)
        for operator in graph.operators
        if model.operatorCodes[operator.opcodeIndex].builtinCode in layers
        for index in operator.inputs[1:]
        if index >= 0
    )
    return [
        index
        for index in dict.fromkeys(read)
        if graph.tensors[index].type == schema.TensorType.FLOAT32
        and model.buffers[graph.tensors[index].buffer].data is not None
    ]


def _as_halves(data: NDArray[np.uint8]) -> NDArray[np.uint8] | None:
    """float32 as float16 bytes; None where that loses something."""
    values = np.asarray(data).view(np.float32)
    with np.errstate(over="ignore"):
        halves = values.astype(np.float16)
    return halves.view(np.uint8) if np.array_equal(halves.astype(np.float32), values) else None


def _new_tensor(graph: "schema.SubGraphT", like: "schema.TensorT", element: int) -> int:
    """A tensor of another type and the same shape, which an operator computes."""
    from ai_edge_litert import schema_py_generated as schema

    tensor = schema.TensorT()
    tensor.name, tensor.shape, tensor.type, tensor.hasRank = like.name, like.shape, element, True
    graph.tensors.append(tensor)
    return len(graph.tensors) - 1


def _dequantize(model: "schema.ModelT", source: int, target: int) -> "schema.OperatorT":
    from ai_edge_litert import schema_py_generated as schema

    operator = schema.OperatorT()
    operator.opcodeIndex = _dequantize_code(model)
    operator.inputs, operator.outputs = [source], [target]
    operator.builtinOptionsType = schema.BuiltinOptions.DequantizeOptions
    operator.builtinOptions = schema.DequantizeOptionsT()
    return operator


def _dequantize_code(model: "schema.ModelT") -> int:
    """Position of the operator in the model's list, in a version that takes float16."""
    from ai_edge_litert import schema_py_generated as schema

    wanted = schema.BuiltinOperator.DEQUANTIZE
    for position, code in enumerate(model.operatorCodes):
        if code.builtinCode == wanted:
            code.version = max(code.version, _DEQUANTIZE_VERSION)
            return position
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = wanted
    code.version = _DEQUANTIZE_VERSION
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _shorten_names(model: "schema.ModelT", graph: "schema.SubGraphT") -> None:
    """Inputs and outputs by their own names, all other tensors by their number.

    The converter names them after the Python modules that an operator came from.
    """
    for index, tensor in enumerate(graph.tensors):
        tensor.name = str(index)
    (signature,) = model.signatureDefs
    for entry in (*signature.inputs, *signature.outputs):
        graph.tensors[entry.tensorIndex].name = entry.name


def _packed(model: "schema.ModelT", size: int) -> bytes:
    import flatbuffers

    class Builder(flatbuffers.Builder):  # type: ignore[misc]
        """Puts byte vectors, which are constants here, at round addresses."""

        def CreateNumpyVector(self, x: NDArray[np.generic]) -> int:  # noqa: N802
            if x.dtype == np.uint8:
                self.Prep(_ALIGNMENT, x.nbytes)
            position: int = super().CreateNumpyVector(x)
            return position

    builder = Builder(size)
    builder.Finish(model.Pack(builder), _IDENTIFIER)
    return bytes(builder.Output())

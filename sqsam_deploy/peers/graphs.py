"""ONNX files of other projects: their signature, precision and content."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.artifact.files import hash_file
from sqsam_deploy.artifact.metadata import PrecisionName
from sqsam_deploy.errors import ArtifactError, first_line
from sqsam_deploy.runtimes.onnx.model_file import read_model
from sqsam_deploy.runtimes.onnx.session import session_options

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, TensorProto, ValueInfoProto

#: Operators that only quantized graphs have.
_QUANTIZED = ("Quantize", "Dequantize", "DynamicQuantize", "QLinear", "QGemm", "QAttention")
_INTEGER = ("ConvInteger", "MatMulInteger", "DynamicQuantizeMatMul", "MatMulNBits")


@dataclass(frozen=True)
class Tensor:
    """An input or output.

    Attributes:
        name: As the file has it.
        dtype: numpy's name of its element type.
        shape: None where an axis is free; empty where the file does not say.
    """

    name: str
    dtype: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True)
class Graph:
    """An ONNX file, before it is loaded.

    Attributes:
        path: Where it is.
        inputs: By name.
        outputs: By name, in the file's order.
        precision: "int8" where any operator is quantized, "fp16" where most weights are, or "fp32".
        parameters: Numbers in its weights.
    """

    path: Path
    inputs: Mapping[str, Tensor]
    outputs: Mapping[str, Tensor]
    precision: PrecisionName
    parameters: int


def read_graph(path: Path) -> Graph:
    """The signature of a file; weights that lie beside it are not read.

    Raises:
        ArtifactError: It is missing or no ONNX file.
    """
    model = read_model(path)
    weights = list(_weights(model.graph))
    names = {tensor.name for tensor in weights}
    return Graph(
        path=path,
        inputs={item.name: _tensor(item) for item in model.graph.input if item.name not in names},
        outputs={item.name: _tensor(item) for item in model.graph.output},
        precision=_precision(model, weights),
        parameters=sum(_count(tensor) for tensor in weights),
    )


def _tensor(item: "ValueInfoProto") -> Tensor:
    from onnx.helper import tensor_dtype_to_np_dtype

    kind = item.type.tensor_type
    shape = tuple(d.dim_value if d.HasField("dim_value") else None for d in kind.shape.dim)
    return Tensor(item.name, tensor_dtype_to_np_dtype(kind.elem_type).name, shape)


def _weights(graph: "GraphProto") -> "Iterator[TensorProto]":
    """Initializers, and constants, which older exporters write instead."""
    yield from graph.initializer
    for node in graph.node:
        if node.op_type == "Constant":
            yield from (attribute.t for attribute in node.attribute if attribute.name == "value")


def _count(tensor: "TensorProto") -> int:
    return int(np.prod(tensor.dims, dtype=np.int64))


def _precision(model: "ModelProto", weights: "Sequence[TensorProto]") -> PrecisionName:
    from onnx import TensorProto

    operators = {node.op_type for node in model.graph.node}
    if any(name.startswith(_QUANTIZED) or name in _INTEGER for name in operators):
        return "int8"
    halves = sum(_count(t) for t in weights if t.data_type == TensorProto.FLOAT16)
    floats = sum(_count(t) for t in weights if t.data_type == TensorProto.FLOAT)
    return "fp16" if halves > floats else "fp32"


def content_sha256(paths: Sequence[Path]) -> str:
    """One digest of files and of the weights that lie beside them.

    Raises:
        ArtifactError: Weights that a file names do not exist.
    """
    digest = hashlib.sha256()
    for path in paths:
        for file in (path, *external_files(path)):
            if not file.is_file():
                raise ArtifactError(f"{path} keeps weights in {file}, which does not exist")
            digest.update(hash_file(file).encode())
    return digest.hexdigest()


def external_files(path: Path) -> list[Path]:
    """The files beside one that hold its weights; there is none where it holds them itself."""
    from onnx.external_data_helper import ExternalDataInfo, uses_external_data

    external = filter(uses_external_data, _weights(read_model(path).graph))
    names = {ExternalDataInfo(tensor).location for tensor in external}
    return [path.parent / name for name in sorted(names)]


class GraphRunner:
    """A file, loaded by ONNX Runtime on the CPU; weights may lie beside it."""

    def __init__(self, path: Path, threads: int | None) -> None:
        """Args: `threads` of one inference; None leaves ONNX Runtime's default.

        Raises:
            ArtifactError: It cannot be loaded.
        """
        import onnxruntime

        self._path = path
        try:
            self._session = onnxruntime.InferenceSession(
                str(path), session_options(threads), providers=["CPUExecutionProvider"]
            )
        # ONNX Runtime raises a dozen classes of its own that share no base but Exception.
        except Exception as error:
            reason = first_line(error)
            raise ArtifactError(f"{path} cannot be loaded by ONNX Runtime: {reason}") from None

    def run(
        self, feeds: Mapping[str, NDArray[np.generic]], outputs: Sequence[str] | None
    ) -> list[NDArray[np.generic]]:
        """The outputs that are asked for, in this order.

        Args:
            feeds: Inputs by name.
            outputs: Their names; None for all.

        Raises:
            ArtifactError: ONNX Runtime refuses them.
        """
        try:
            found: list[NDArray[np.generic]] = self._session.run(outputs, dict(feeds))
        except Exception as error:
            raise ArtifactError(f"{self._path} cannot be run: {first_line(error)}") from None
        return found

"""ONNX and ExecuTorch files of any network, opened without asking what they are for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.errors import ArtifactError, SqsamError

Feeds = Sequence[NDArray[np.generic]]

_ONNX_DTYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(int64)": np.int64,
}


class PlainNetwork(Protocol):
    """Something that takes arrays in the order of its inputs."""

    def random_inputs(self) -> list[NDArray[np.generic]]:
        """One input of each declared shape and type, the same at every call."""

    def run(self, feeds: Feeds) -> Sequence[Any]:
        """One inference; the outputs, in the order the network declares them."""


def open_plain(path: Path, threads: int) -> PlainNetwork:
    """Opens a network by its file name.

    Raises:
        ArtifactError: It is neither `.onnx` nor `.pte`, or cannot be loaded.
    """
    if path.suffix == ".onnx":
        return OnnxNetwork(path, threads)
    if path.suffix == ".pte":
        return ExecuTorchNetwork(path, threads)
    raise ArtifactError(f"{path} cannot be measured: its name must end in .onnx or .pte")


class OnnxNetwork:
    """ONNX Runtime on the CPU, all optimizations on."""

    def __init__(self, path: Path, threads: int, profile_prefix: str | None = None) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        if profile_prefix is not None:
            options.enable_profiling = True
            options.profile_file_prefix = profile_prefix
        try:
            self.session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise ArtifactError(
                f"{path} cannot be loaded by ONNX Runtime: {_first_line(error)}"
            ) from error

    def random_inputs(self) -> list[NDArray[np.generic]]:
        """Random numbers of the declared shapes."""
        return [
            random_array(tuple(item.shape), np.dtype(_ONNX_DTYPES[item.type]))
            for item in self.session.get_inputs()
        ]

    def run(self, feeds: Feeds) -> Sequence[Any]:
        """One inference."""
        names = [item.name for item in self.session.get_inputs()]
        outputs: Sequence[Any] = self.session.run(None, dict(zip(names, feeds, strict=True)))
        return outputs


class ExecuTorchNetwork:
    """ExecuTorch's Python runtime with the XNNPACK delegate."""

    def __init__(self, path: Path, threads: int, events: bool = False) -> None:
        from sqsam_deploy._internal.upstream import executorch

        executorch.set_threads(threads)
        try:
            self.program = executorch.load_program(path, events=events)
            # Here the delegates unpack and rearrange the weights.
            self._method = self.program.load_method("forward")
        except SqsamError:
            raise
        except Exception as error:
            raise ArtifactError(
                f"{path} cannot be loaded by ExecuTorch: {_first_line(error)}"
            ) from error

    def random_inputs(self) -> list[NDArray[np.generic]]:
        """Random numbers of the declared shapes."""
        meta = self._method.method_meta()
        tensors = [meta.input_tensor_meta(index) for index in range(meta.num_inputs())]
        return [random_array(tuple(t.sizes()), _numpy_dtype(t.dtype())) for t in tensors]

    def run(self, feeds: Feeds) -> Sequence[Any]:
        """One inference; the outputs stay in the runtime's memory until the next one."""
        import torch

        inputs = tuple(torch.from_numpy(value) for value in feeds)
        outputs: Sequence[Any] = self._method.call(inputs, clone_outputs=False)
        return outputs


def random_array(shape: tuple[Any, ...], dtype: np.dtype[Any]) -> NDArray[np.generic]:
    """Normal floats, or integers over the type's first 128 values; a free axis has length 1."""
    rng = np.random.default_rng(0)
    sizes = tuple(size if isinstance(size, int) else 1 for size in shape)
    if dtype.kind in "iu":
        return rng.integers(0, 128, sizes).astype(dtype)
    return rng.standard_normal(sizes).astype(dtype)


def _numpy_dtype(scalar_type: int) -> np.dtype[Any]:
    """ExecuTorch's ScalarType (torch's c10 numbering) as numpy's."""
    numbering = (np.uint8, np.int8, np.int16, np.int32, np.int64, np.float16, np.float32)
    return np.dtype(numbering[scalar_type])


def _first_line(error: Exception) -> str:
    return str(error).strip().split("\n")[0] or type(error).__name__

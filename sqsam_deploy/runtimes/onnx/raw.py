"""ONNX files of any network, opened without asking what they are for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.errors import ArtifactError, first_line
from sqsam_deploy.runtimes.base import Feeds
from sqsam_deploy.runtimes.onnx.session import session_options
from sqsam_deploy.runtimes.session import random_array

_ONNX_DTYPES: dict[str, type[np.generic]] = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(int64)": np.int64,
}


class OnnxNetwork:
    """ONNX Runtime on the CPU, all optimizations on."""

    def __init__(self, path: Path, threads: int, profile_prefix: str | None = None) -> None:
        import onnxruntime

        options = session_options(threads)
        if profile_prefix is not None:
            options.enable_profiling = True
            options.profile_file_prefix = profile_prefix
        try:
            self.session = onnxruntime.InferenceSession(
                str(path), options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:
            raise ArtifactError(
                f"{path} cannot be loaded by ONNX Runtime: {first_line(error)}"
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

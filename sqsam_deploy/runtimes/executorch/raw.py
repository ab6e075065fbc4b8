"""ExecuTorch programs of any network, opened without asking what they are for."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.errors import ArtifactError, SqsamError, first_line
from sqsam_deploy.runtimes.base import Feeds
from sqsam_deploy.runtimes.session import random_array


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
                f"{path} cannot be loaded by ExecuTorch: {first_line(error)}"
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


def _numpy_dtype(scalar_type: int) -> np.dtype[Any]:
    """ExecuTorch's ScalarType (torch's c10 numbering) as numpy's."""
    numbering = (np.uint8, np.int8, np.int16, np.int32, np.int64, np.float16, np.float32)
    return np.dtype(numbering[scalar_type])

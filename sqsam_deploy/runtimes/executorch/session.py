"""ExecuTorch's own runtime, through its Python binding."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from typing_extensions import override

from sqsam_deploy._internal.upstream.executorch import runtime, set_threads
from sqsam_deploy.artifact.metadata import METADATA_KEY, ArtifactMetadata, stored_metadata
from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.runtimes.executorch.container import check_container
from sqsam_deploy.runtimes.executorch.quiet import quiet_cpp
from sqsam_deploy.runtimes.session import Session


class ExecutorchSession(Session):
    """A loaded .pte file."""

    def __init__(self, metadata: ArtifactMetadata, program: Any, method: Any) -> None:
        self.metadata = metadata
        # The method points into the program's memory.
        self._program = program
        self._method = method

    @override
    def execute(
        self, feeds: Mapping[str, NDArray[np.generic]]
    ) -> Mapping[str, NDArray[np.generic]]:
        inputs = [torch.from_numpy(feeds[spec.name]) for spec in self.metadata.inputs]
        outputs = self._method.execute(inputs)
        names = [spec.name for spec in self.metadata.outputs]
        return {name: value.numpy() for name, value in zip(names, outputs, strict=True)}


def open_session(path: Path, threads: int | None = None) -> ExecutorchSession:
    """Loads a file.

    Args:
        path: Written by `lower`.
        threads: CPU threads; ExecuTorch keeps one pool for the process, so this holds for every
            session of it. None leaves the pool as it is.

    Raises:
        ArtifactError: The file is missing, damaged or was not written by this tool.
    """
    program = _load_program(path)
    metadata = _metadata_of(program, path)
    if threads is not None:
        with quiet_cpp():
            set_threads(threads)
    try:
        with quiet_cpp():
            method = program.load_method("forward")
    except RuntimeError as error:
        raise ArtifactError(f"{path} cannot be loaded by ExecuTorch: {error}") from None
    return ExecutorchSession(metadata, program, method)


def read_metadata(path: Path) -> ArtifactMetadata:
    """The metadata stored in a file; neither weights nor delegates are loaded.

    Raises:
        ArtifactError: The file is missing, damaged or was not written by this tool.
    """
    return _metadata_of(_load_program(path), path)


def _load_program(path: Path) -> Any:
    check_container(path)
    library = runtime()
    level = library.Verification.InternalConsistency
    try:
        with quiet_cpp():
            return library.Runtime.get().load_program(path, verification=level)
    except RuntimeError:
        raise ArtifactError(
            f"{path} is damaged: ExecuTorch's verification failed; export it or download it again"
        ) from None


def _metadata_of(program: Any, path: Path) -> ArtifactMetadata:
    if METADATA_KEY not in program.method_names:
        raise ArtifactError(f"{path} has no '{METADATA_KEY}' metadata: no artifact of this tool")
    (stored,) = program.load_method(METADATA_KEY).execute([])
    return stored_metadata(stored, str(path))

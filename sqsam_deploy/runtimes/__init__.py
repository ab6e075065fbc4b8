"""Everything that lowers a program for a runtime, or runs what was lowered.

Each runtime is a package with the same three functions, `lower`, `open_session` and
`read_metadata`; the two functions here choose among them by the file.
"""

from importlib import import_module
from pathlib import Path
from types import ModuleType

from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.checkpoint.bundled import weights_file
from sqsam_deploy.errors import ArtifactError, MissingDependencyError
from sqsam_deploy.runtimes.session import Session

CHECKPOINT_SUFFIXES = (".safetensors", ".pt", ".pth")
_PACKAGES = {".pte": "executorch", ".onnx": "onnx", ".mlpackage": "coreml"}


def open_session(path: Path, threads: int | None = None) -> Session:
    """Loads an artifact or a checkpoint so that it can be run.

    Args:
        path: `.pte`, `.onnx`, `.mlpackage`, or a checkpoint: a file, or bundled weights by name.
        threads: CPU threads; None leaves the runtime's default.

    Raises:
        ArtifactError: The file is missing, damaged or of no known kind.
        UsageError: No bundled weights have that name.
        CheckpointError: A checkpoint cannot be used.
        MissingDependencyError: The runtime is not installed.
    """
    path = weights_file(path)
    is_checkpoint = path.suffix in CHECKPOINT_SUFFIXES
    runtime = "torch" if is_checkpoint else read_metadata(path).runtime
    session: Session = runtime_package(runtime).open_session(path, threads)
    return session


def read_metadata(path: Path) -> ArtifactMetadata:
    """What an artifact says of itself, without loading its network.

    Raises:
        ArtifactError: The file is missing, damaged or was not written by this tool.
    """
    if path.suffix not in _PACKAGES:
        known = ", ".join((*_PACKAGES, *CHECKPOINT_SUFFIXES))
        raise ArtifactError(f"{path} is no known artifact: its name must end in {known}")
    if not path.exists():
        raise ArtifactError(f"{path} does not exist")
    metadata: ArtifactMetadata = runtime_package(_PACKAGES[path.suffix]).read_metadata(path)
    return metadata


def runtime_package(name: str) -> ModuleType:
    """The package that implements a runtime, imported when it is asked for."""
    module = name.replace("-", "_")
    try:
        return import_module(f"sqsam_deploy.runtimes.{module}")
    except ModuleNotFoundError as error:
        if error.name and error.name.startswith("sqsam_deploy"):
            raise
        raise MissingDependencyError(
            f"the {name} runtime needs the package '{error.name}': pip install {error.name}"
        ) from None

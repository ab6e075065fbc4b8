"""Every runtime there is: those of this package, and those that other packages bring.

Another package registers one as an entry point of the group `sqsam_deploy.runtimes`: the name of
the entry point is the runtime's name, its object a `Runtime`.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from sqsam_deploy._internal.packages import missing_package
from sqsam_deploy.artifact.manifest import ArtifactEntry
from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.artifact.provenance import installed_versions
from sqsam_deploy.artifact.requirements import Requirements
from sqsam_deploy.errors import ArtifactError, MissingDependencyError, SqsamError, UsageError
from sqsam_deploy.runtimes.base import Runtime

if TYPE_CHECKING:
    from sqsam_deploy.runtimes.session import Session

CHECKPOINT_SUFFIXES = (".safetensors", ".pt", ".pth")
GROUP = "sqsam_deploy.runtimes"
#: In the order in which artifacts are listed; the first is what others are compared with.
_BUILT_IN = ("executorch", "coreml", "onnx", "executorch-coreml")


def all_runtimes() -> tuple[Runtime, ...]:
    """Every runtime, this package's own first; one that cannot be loaded is left out."""
    return tuple(_known().runtimes.values())


def runtime_names() -> tuple[str, ...]:
    """Names of all runtimes, in the same order."""
    return tuple(_known().runtimes)


def find_runtime(name: str) -> Runtime:
    """A runtime by its name.

    Raises:
        UsageError: There is none of that name.
        MissingDependencyError: The package that brings it cannot be loaded.
    """
    known = _known()
    if name in known.failures:
        raise MissingDependencyError(
            f"the runtime '{name}' cannot be loaded ({known.failures[name]}): install the package "
            "that brings it again"
        )
    if name not in known.runtimes:
        raise UsageError(f"unknown runtime '{name}': choose from {', '.join(known.runtimes)}")
    return known.runtimes[name]


def artifact_suffixes() -> tuple[str, ...]:
    """Suffixes of artifacts, each once: (".pte", ".mlpackage", ".onnx")."""
    return tuple(dict.fromkeys(runtime.suffix for runtime in all_runtimes()))


def is_checkpoint(path: Path) -> bool:
    """Whether a name is that of a weights file."""
    return path.suffix in CHECKPOINT_SUFFIXES


def runtimes_for(path: Path) -> tuple[Runtime, ...]:
    """Those whose files have this path's suffix.

    Raises:
        ArtifactError: None has.
    """
    found = tuple(runtime for runtime in all_runtimes() if runtime.suffix == path.suffix)
    if not found:
        if path.is_dir():
            raise ArtifactError(f"{path} is a directory: name one of the artifacts in it")
        known = ", ".join((*artifact_suffixes(), *CHECKPOINT_SUFFIXES))
        raise ArtifactError(f"{path} is no known artifact: its name must end in {known}")
    return found


def read_metadata(path: Path) -> ArtifactMetadata:
    """The metadata stored in an artifact; its network is not loaded.

    Raises:
        ArtifactError: The file is missing, damaged or was not written by this tool.
        MissingDependencyError: The runtime is not installed.
    """
    candidates = runtimes_for(path)
    if not path.exists():
        raise ArtifactError(f"{path} does not exist")
    # Runtimes that share a suffix mostly share a container too: the first that reads it tells.
    failures: list[SqsamError] = []
    for runtime in candidates:
        try:
            with dependencies_of(runtime):
                return runtime.read_metadata(path)
        except SqsamError as error:
            failures.append(error)
    raise failures[0]


def runtime_of(path: Path) -> Runtime:
    """The runtime that an artifact says it is for.

    Raises:
        ArtifactError: The file is damaged, or for a runtime that is not installed.
    """
    return runtime_of_metadata(read_metadata(path), path)


def runtime_of_metadata(metadata: ArtifactMetadata, path: Path) -> Runtime:
    """The runtime that metadata name; `path` is only for the message.

    Raises:
        ArtifactError: It is not installed.
    """
    try:
        return find_runtime(metadata.runtime)
    except UsageError:
        raise ArtifactError(
            f"{path} is for the runtime '{metadata.runtime}', which is not installed: install the "
            f"package that brings it; there are {', '.join(runtime_names())}"
        ) from None


def requirements_of(entry: ArtifactEntry) -> Requirements:
    """The libraries that an app links to run an artifact, and the lowest systems.

    Of an artifact whose manifest does not say it, what any of the runtime's artifacts may need.

    Raises:
        ArtifactError: The runtime is not installed.
    """
    if entry.requirements is not None:
        return entry.requirements
    runtime = runtime_of_metadata(entry.metadata, Path(entry.path))
    return runtime.requirements(entry.metadata)


def open_session(path: str | PathLike[str], threads: int | None = None) -> "Session":
    """Loads an artifact or a checkpoint so that it can be run.

    Args:
        path: An artifact of any runtime, or a checkpoint: a file, or bundled weights by name.
        threads: CPU threads; None leaves the runtime's default.

    Raises:
        ArtifactError: The file is missing, damaged or of no known kind.
        UsageError: No bundled weights have that name.
        CheckpointError: A checkpoint cannot be used.
        MissingDependencyError: The runtime is not installed.
    """
    from sqsam_deploy.checkpoint.bundled import weights_file  # brings torch along

    path = weights_file(path)
    if is_checkpoint(path):
        from sqsam_deploy.runtimes.torch import open_session as open_checkpoint

        return open_checkpoint(path, threads)
    runtime = runtime_of(path)
    with dependencies_of(runtime):
        return runtime.open_session(path, threads)


def tool_versions() -> dict[str, str]:
    """Installed versions of everything that shapes an artifact, by package name."""
    return installed_versions(name for each in all_runtimes() for name in each.distributions)


def require_libraries(runtime: Runtime) -> None:
    """Looks for what a runtime's artifacts are made with, and imports nothing.

    Raises:
        MissingDependencyError: One of its distributions is not installed.
    """
    for distribution in runtime.distributions:
        _require(runtime, distribution.replace("-", "_"))


def require_library(runtime: Runtime) -> None:
    """Looks for what runs a runtime's artifacts, and imports nothing.

    Raises:
        MissingDependencyError: It is not installed.
    """
    _require(runtime, runtime.library)


def _require(runtime: Runtime, module: str) -> None:
    with dependencies_of(runtime):
        if find_spec(module) is None:
            raise ModuleNotFoundError(name=module.partition(".")[0])


@contextlib.contextmanager
def dependencies_of(runtime: Runtime) -> Iterator[None]:
    """Turns a missing library into a sentence.

    Raises:
        MissingDependencyError: Something inside the block imports what is not installed.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.startswith("sqsam_deploy"):
            raise
        raise MissingDependencyError(
            f"the {runtime.name} runtime cannot be used: {missing_package(error.name)}"
        ) from None


@dataclass(frozen=True)
class _Known:
    """The runtimes, and why others cannot be loaded; both by name."""

    runtimes: dict[str, Runtime]
    failures: dict[str, str]


@cache
def _known() -> _Known:
    known = _Known({name: _built_in(name) for name in _BUILT_IN}, {})
    for entry in entry_points(group=GROUP):
        if entry.name not in known.runtimes:
            _add(entry, known)
    return known


def _built_in(name: str) -> Runtime:
    package = import_module(f"sqsam_deploy.runtimes.{name.replace('-', '_')}")
    runtime: Runtime = package.RUNTIME
    return runtime


def _add(entry: EntryPoint, known: _Known) -> None:
    try:
        runtime = entry.load()
    except Exception as error:  # whatever another package's import can cause
        known.failures[entry.name] = f"{type(error).__name__}: {error}"
        return
    if isinstance(runtime, Runtime) and runtime.name == entry.name:
        known.runtimes[entry.name] = runtime
    else:
        known.failures[entry.name] = f"{entry.value} is no Runtime of that name"

"""The facts about a file that `sqsam-inspect` shows, without their look."""

from collections import Counter
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict

from sqsam_deploy.artifact.files import files_in
from sqsam_deploy.artifact.manifest import MANIFEST_NAME, Agreement, Manifest, read_manifest
from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.artifact.requirements import Requirements
from sqsam_deploy.checkpoint.bundled import weights_file
from sqsam_deploy.checkpoint.loading import build_checkpoint
from sqsam_deploy.checkpoint.reading import read_state_file
from sqsam_deploy.errors import ArtifactError, UsageError
from sqsam_deploy.folding import FoldStep, fold
from sqsam_deploy.runtimes.device import DeviceCheck
from sqsam_deploy.runtimes.registry import (
    artifact_suffixes,
    dependencies_of,
    read_metadata,
    runtime_of_metadata,
)


class _Facts(BaseModel):
    model_config = ConfigDict(frozen=True)


class CheckpointFacts(_Facts):
    """A weights file.

    Attributes:
        dtypes: Tensors by element type, as stored.
        parameters: Trained values; norms' statistics are not counted.
        folding: Which norm an export folds into which convolution.
    """

    kind: Literal["checkpoint"] = "checkpoint"
    path: str
    bytes: int
    sha256: str
    format: str
    key_names: str
    preset: str
    parameters: int
    tensors: int
    dtypes: dict[str, int]
    metadata: dict[str, str]
    folding: tuple[FoldStep, ...]


class ArtifactFacts(_Facts):
    """One artifact; `agreement` where a manifest beside it lists it."""

    kind: Literal["artifact"] = "artifact"
    path: str
    bytes: int
    metadata: ArtifactMetadata
    agreement: Agreement | None


class ExportFacts(_Facts):
    """A directory that `sqsam-export` wrote."""

    kind: Literal["export"] = "export"
    path: str
    manifest: Manifest


class OnDeviceFacts(_Facts):
    """One artifact on phones.

    Attributes:
        requirements: What an app links, and the lowest systems.
        checks: Every rule that can be checked on the file, with its outcome.
    """

    path: str
    requirements: Requirements
    checks: tuple[DeviceCheck, ...]


class DeviceFacts(_Facts):
    """Artifacts on phones."""

    kind: Literal["device"] = "device"
    path: str
    artifacts: tuple[OnDeviceFacts, ...]

    @property
    def broken(self) -> bool:
        """Whether one of them is known not to work."""
        return any(check.outcome == "broken" for each in self.artifacts for check in each.checks)


Facts = CheckpointFacts | ArtifactFacts | ExportFacts


def examine(path: Path) -> Facts:
    """The facts about a file.

    Raises:
        CheckpointError: It is a weights file that cannot be used, or nothing this tool knows.
        ArtifactError: It is an artifact or manifest that cannot be read.
    """
    path = weights_file(path)
    if path.name == MANIFEST_NAME:
        return ExportFacts(path=str(path), manifest=read_manifest(path.parent))
    if path.suffix in artifact_suffixes():
        return _examine_artifact(path)
    if path.is_dir():
        return ExportFacts(path=str(path), manifest=read_manifest(path))
    return _examine_checkpoint(path)


def examine_device(path: Path) -> DeviceFacts:
    """The requirements of phones on an artifact, or on every artifact of an export directory.

    Raises:
        UsageError: It is neither.
        ArtifactError: It cannot be read.
    """
    if path.suffix in artifact_suffixes():
        paths = [path]
    elif path.is_dir() or path.name == MANIFEST_NAME:
        folder = path if path.is_dir() else path.parent
        paths = [folder / entry.path for entry in read_manifest(folder).artifacts]
    else:
        raise UsageError(
            f"--device asks what phones need for an artifact or an export directory, not for {path}"
        )
    return DeviceFacts(path=str(path), artifacts=tuple(map(_on_device, paths)))


def _on_device(path: Path) -> OnDeviceFacts:
    metadata = read_metadata(path)
    runtime = runtime_of_metadata(metadata, path)
    with dependencies_of(runtime):
        found = runtime.on_device(metadata, path)
    return OnDeviceFacts(path=str(path), requirements=found.requirements, checks=found.checks)


def _examine_checkpoint(path: Path) -> CheckpointFacts:
    state = read_state_file(path)
    checkpoint = build_checkpoint(state, path)
    dtypes = Counter(str(value.dtype).removeprefix("torch.") for value in state.tensors.values())
    return CheckpointFacts(
        path=str(path),
        bytes=path.stat().st_size,
        sha256=checkpoint.sha256,
        format=state.format,
        key_names=state.key_names,
        preset=checkpoint.config.name,
        parameters=sum(p.numel() for p in checkpoint.model.parameters()),
        tensors=len(state.tensors),
        dtypes=dict(dtypes),
        metadata=state.metadata,
        folding=fold(checkpoint.model).steps,
    )


def _examine_artifact(path: Path) -> ArtifactFacts:
    metadata = read_metadata(path)
    size = sum(file.stat().st_size for file in files_in(path))
    return ArtifactFacts(
        path=str(path), bytes=size, metadata=metadata, agreement=_recorded_agreement(path)
    )


def _recorded_agreement(path: Path) -> Agreement | None:
    if not (path.parent / MANIFEST_NAME).is_file():
        return None
    try:
        manifest = read_manifest(path.parent)
    except ArtifactError:
        # A manifest of something else must not keep the artifact from being shown.
        return None
    return next((a.agreement for a in manifest.artifacts if a.path == path.name), None)

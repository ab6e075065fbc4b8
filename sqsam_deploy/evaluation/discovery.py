"""Which artifacts a directory holds, and what they say of themselves."""

import hashlib
from collections.abc import Sequence
from pathlib import Path

from sqsam_deploy.artifact.files import files_in, hash_file, sums_text
from sqsam_deploy.artifact.manifest import MANIFEST_NAME, read_manifest
from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.checkpoint.bundled import weights_file
from sqsam_deploy.errors import ArtifactError, UsageError
from sqsam_deploy.evaluation.plan import Loaded
from sqsam_deploy.runtimes.registry import (
    CHECKPOINT_SUFFIXES,
    artifact_suffixes,
    is_checkpoint,
    open_session,
    read_metadata,
)


def find_artifacts(directory: Path, only: Sequence[str]) -> list[Loaded]:
    """The artifacts of an export directory, by its manifest or, without one, by their suffixes.

    Args:
        directory: What `sqsam-export` wrote, or any directory with artifacts and checkpoints.
        only: Names to keep, or empty for all.

    Raises:
        UsageError: The directory does not exist, has no artifact, or lacks one of `only`.
        ArtifactError: An artifact is damaged.
    """
    if not directory.is_dir():
        raise UsageError(f"{directory} is not a directory with artifacts")
    names = _listed(directory) or _lying_there(directory)
    unknown = [name for name in only if name not in names]
    if unknown:
        raise UsageError(f"{directory} has no artifact '{unknown[0]}', but {', '.join(names)}")
    if not names:
        known = ", ".join(artifact_suffixes())
        raise UsageError(f"{directory} has no artifact ({known}): run sqsam-export first")
    return [load(name, directory / name) for name in names if not only or name in only]


def _listed(directory: Path) -> list[str]:
    if not (directory / MANIFEST_NAME).is_file():
        return []
    entries = read_manifest(directory).artifacts
    return [entry.path for entry in entries if entry.metadata.task == "segmentation"]


def _lying_there(directory: Path) -> list[str]:
    suffixes = (*artifact_suffixes(), *CHECKPOINT_SUFFIXES)
    return sorted(path.name for path in directory.iterdir() if path.suffix in suffixes)


def load(name: str, path: Path) -> Loaded:
    """Reads what one artifact or checkpoint says of itself, and its hash.

    Raises:
        ArtifactError: It is missing or damaged.
    """
    path = weights_file(path)
    if not path.exists():
        raise ArtifactError(f"{path} does not exist")
    return Loaded(name, path, artifact_sha256(path), _metadata(path))


def _metadata(path: Path) -> ArtifactMetadata:
    # A checkpoint says what it is only by its tensors.
    return open_session(path).metadata if is_checkpoint(path) else read_metadata(path)


def artifact_sha256(path: Path) -> str:
    """The digest that `ArtifactEntry.sha256` states, of the bytes that lie there now."""
    if path.is_file():
        return hash_file(path)
    digests = {file.relative_to(path).as_posix(): hash_file(file) for file in files_in(path)}
    return hashlib.sha256(sums_text(digests).encode()).hexdigest()

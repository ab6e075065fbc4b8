"""The differences between two releases: files, sizes, drift, latency."""

from dataclasses import dataclass
from typing import Literal

from sqsam_deploy.release.document import Latency, Release, ReleasedArtifact

Change = Literal["added", "removed", "changed", "same"]


@dataclass(frozen=True)
class LatencyChange:
    """One device and setup; None where that release was not measured there."""

    device: str
    setup: str
    before: Latency | None
    after: Latency | None


@dataclass(frozen=True)
class ArtifactChange:
    """One artifact in both releases, or in one of them."""

    path: str
    before: ReleasedArtifact | None
    after: ReleasedArtifact | None

    @property
    def change(self) -> Change:
        """Whether it was added, removed or changed."""
        if self.before is None:
            return "added"
        if self.after is None:
            return "removed"
        return "same" if self.before.sha256 == self.after.sha256 else "changed"

    @property
    def latencies(self) -> tuple[LatencyChange, ...]:
        """Measurements of either, matched by device and setup."""
        before, after = _by_setup(self.before), _by_setup(self.after)
        keys = sorted(before.keys() | after.keys())
        return tuple(LatencyChange(*key, before.get(key), after.get(key)) for key in keys)


@dataclass(frozen=True)
class FileChange:
    """A file of the release that is no artifact: a document or a report."""

    path: str
    change: Change


@dataclass(frozen=True)
class ReleaseDiff:
    """Everything that changed, and what stayed."""

    before: Release
    after: Release
    artifacts: tuple[ArtifactChange, ...]
    files: tuple[FileChange, ...]


def compare(before: Release, after: Release) -> ReleaseDiff:
    """Matches the artifacts and the other files of two releases by name."""
    old = {artifact.path: artifact for artifact in before.artifacts}
    new = {artifact.path: artifact for artifact in after.artifacts}
    artifacts = tuple(
        ArtifactChange(path, old.get(path), new.get(path)) for path in sorted(old.keys() | new)
    )
    return ReleaseDiff(before, after, artifacts, _files(before, after))


def _files(before: Release, after: Release) -> tuple[FileChange, ...]:
    old, new = before.documents, after.documents
    return tuple(
        FileChange(path, _change(old.get(path), new.get(path))) for path in sorted(old.keys() | new)
    )


def _change(before: str | None, after: str | None) -> Change:
    if before is None:
        return "added"
    if after is None:
        return "removed"
    return "same" if before == after else "changed"


def _by_setup(artifact: ReleasedArtifact | None) -> dict[tuple[str, str], Latency]:
    if artifact is None:
        return {}
    return {(latency.device, latency.setup): latency for latency in artifact.latency}

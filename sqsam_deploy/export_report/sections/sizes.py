"""Sizes, what they consist of, and agreement with the float network."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqsam_deploy.artifact.manifest import ArtifactEntry, Manifest
from sqsam_deploy.runtimes.inspection import KINDS, Inspection, Kind, Part, bytes_by_kind


@dataclass(frozen=True)
class Share:
    """A piece of a bar.

    Attributes:
        kind: Names it, and its colour.
        percent: Of the bar's full width.
        text: What a reader sees who points at it.
    """

    kind: str
    percent: float
    text: str


@dataclass(frozen=True)
class SizedArtifact:
    """One artifact with every byte of it.

    Attributes:
        entry: As the manifest has it.
        parts: Add up to its size.
        kinds: Sums by kind.
        bar: The kinds as shares of the largest artifact of the same task.
    """

    entry: ArtifactEntry
    parts: tuple[Part, ...]
    kinds: dict[Kind, int]
    bar: tuple[Share, ...]

    @property
    def overhead(self) -> float:
        """Share of its bytes that are neither weights nor their scales, 0 to 1."""
        return 1 - (self.kinds["weights"] + self.kinds["scales"]) / self.entry.bytes


def sized_artifacts(
    manifest: Manifest, inspections: Mapping[str, Inspection]
) -> tuple[SizedArtifact, ...]:
    """Every artifact of the manifest, in its order."""
    largest: dict[str, int] = {}
    for entry in manifest.artifacts:
        task = entry.metadata.task
        largest[task] = max(largest.get(task, 1), entry.bytes)
    return tuple(
        _sized(inspections[entry.path].parts, entry, largest[entry.metadata.task])
        for entry in manifest.artifacts
    )


def _sized(parts: tuple[Part, ...], entry: ArtifactEntry, largest: int) -> SizedArtifact:
    kinds = bytes_by_kind(parts)
    bar = tuple(
        Share(kind, 100 * kinds[kind] / largest, f"{kind}: {kinds[kind]:,} bytes")
        for kind in KINDS
        if kinds[kind]
    )
    return SizedArtifact(entry, parts, kinds, bar)

"""Whether an export gives the same bytes when it is made again."""

import itertools
import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from operator import itemgetter
from pathlib import Path
from typing import Any

from sqsam_deploy._internal.temporary import scratch_directory
from sqsam_deploy.artifact.manifest import Manifest, read_manifest
from sqsam_deploy.artifact.provenance import git_revision
from sqsam_deploy.pipeline.rebuild import RebuildSource, rebuild
from sqsam_deploy.runtimes.registry import tool_versions

_CHUNK = 1 << 20


@dataclass(frozen=True)
class FileComparison:
    """One file of an export beside the same one made again.

    Attributes:
        path: Relative to the export.
        bytes: Its size; None where it is missing.
        bytes_again: Size of the one made again; None where there is none.
        first_difference: Position of the first byte that differs, counted from 0; where one file
            is the beginning of the other, its length. None where both are the same (of
            `quantization.json`: but for the last digits of measurements) or one is missing.
    """

    path: str
    bytes: int | None
    bytes_again: int | None
    first_difference: int | None = None

    @property
    def same(self) -> bool:
        """Whether both files are there and the same."""
        there = self.bytes is not None and self.bytes_again is not None
        return there and self.first_difference is None


@dataclass(frozen=True)
class Reproduction:
    """An export beside the same one made again.

    Attributes:
        files: Every file that the manifest lists.
        manifest_changes: Fields in which the manifests differ, beyond versions and measurements.
        tool_changes: What made the export and what made it again, where they differ; by name.
    """

    files: tuple[FileComparison, ...]
    manifest_changes: tuple[str, ...]
    tool_changes: Mapping[str, tuple[str, str]]

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.manifest_changes and all(file.same for file in self.files)


def check_reproducible(directory: Path, source: RebuildSource) -> Reproduction:
    """Makes an export again in a temporary directory and compares every file.

    Raises:
        UsageError: The weights or the calibration images are others than the manifest's.
        ArtifactError: There is no manifest, or it does not say how to build an artifact.
        SqsamError: The export itself fails.
    """
    with scratch_directory("again") as temporary:
        again = temporary / "export"
        rebuild(read_manifest(directory), source, again)
        return compare_exports(directory, again)


def compare_exports(directory: Path, again: Path) -> Reproduction:
    """Compares every file that the manifest of an export lists with the one made again here.

    Raises:
        ArtifactError: A manifest is missing or damaged.
    """
    manifest = read_manifest(directory)
    return Reproduction(
        tuple(
            _compare(entry.path, directory / entry.path, again / entry.path)
            for entry in manifest.all_files()
        ),
        _manifest_changes(manifest, read_manifest(again)),
        _tool_changes(manifest),
    )


def _compare(path: str, first: Path, again: Path) -> FileComparison:
    sizes = [file.stat().st_size if file.is_file() else None for file in (first, again)]
    difference = None if None in sizes else first_difference(first, again)
    is_report = re.fullmatch(r"quantization(-\d+)?\.json", path)
    if difference is not None and is_report and same_layers(first.read_bytes(), again.read_bytes()):
        difference = None
    return FileComparison(path, sizes[0], sizes[1], difference)


def same_layers(first: bytes, again: bytes) -> bool:
    """Whether two `quantization.json` differ in nothing but the last digits of measurements.

    These depend on the order in which threads add up; scales and zero points do not. What was
    measured only because it was asked for is no part of the promise.
    """
    try:
        left, right = json.loads(first), json.loads(again)
        for document, key in itertools.product((left, right), ("sensitivity", "choice")):
            document.pop(key, None)
        before, now = (sorted(d.pop("layers"), key=itemgetter("name")) for d in (left, right))
        return bool(left == right) and all(
            _same_layer(a, b) for a, b in zip(before, now, strict=True)
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return False


def _same_layer(before: dict[str, Any], now: dict[str, Any]) -> bool:
    def close(key: str, relative: float, absolute: float) -> bool:
        values = before.pop(key), now.pop(key)
        return values[0] == values[1] or math.isclose(*values, rel_tol=relative, abs_tol=absolute)

    ranges = [close(key, 1e-4, 1e-6) for key in ("minimum", "maximum")]
    return all(ranges) and close("snr_db", 0, 0.2) and before == now


def first_difference(a: Path, b: Path) -> int | None:
    """Position of the first byte that differs between two files; None where they are the same."""
    position = 0
    with a.open("rb") as left, b.open("rb") as right:
        while True:
            x, y = left.read(_CHUNK), right.read(_CHUNK)
            if x != y:
                shorter = min(len(x), len(y))
                pairs = zip(x, y, strict=False)
                return position + next((i for i, (p, q) in enumerate(pairs) if p != q), shorter)
            if not x:
                return None
            position += len(x)


def _manifest_changes(first: Manifest, again: Manifest) -> tuple[str, ...]:
    """Fields that differ, of what does not depend on versions, file names or the processor."""
    fields = ("manifest_version", "name", "preset", "recipe", "calibration")
    changes = [name for name in fields if getattr(first, name) != getattr(again, name)]
    rebuilt = {entry.path: entry for entry in again.artifacts}
    for entry in first.artifacts:
        other = rebuilt.get(entry.path)
        for name in ("metadata", "minimum_runtime", "build"):
            if other is None or getattr(entry, name) != getattr(other, name):
                changes.append(f"{name} of {entry.path}")
    return tuple(changes)


def _tool_changes(manifest: Manifest) -> dict[str, tuple[str, str]]:
    before, now = dict(manifest.tools), tool_versions()
    before["git revision"], now["git revision"] = manifest.git_revision or "", git_revision() or ""
    return {
        name: (before.get(name) or "none", now.get(name) or "none")
        for name in before | now
        if before.get(name) != now.get(name)
    }

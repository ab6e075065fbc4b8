"""Values that many tests need and none of them is about."""

from pathlib import Path

from sqsam_deploy._internal.progress import SilentSteps
from sqsam_deploy.artifact.manifest import (
    Agreement,
    ArtifactEntry,
    Manifest,
    WeightsEntry,
    file_entries,
    write_manifest,
)
from sqsam_deploy.artifact.metadata import RuntimeName
from sqsam_deploy.model.config import preset
from sqsam_deploy.model.description import describe
from sqsam_deploy.runtimes.base import Runtime
from sqsam_deploy.runtimes.registry import all_runtimes

WEIGHTS = WeightsEntry(name="weights.safetensors", sha256="0" * 64)
AGREEMENT = Agreement(
    images=4,
    prompts=12,
    mean_mask_iou=0.99,
    min_mask_iou=0.97,
    max_logit_difference=0.2,
    max_iou_difference=0.01,
    limit=0.95,
    executor="test 1.0",
)


def own_runtimes() -> list[Runtime]:
    """Runtimes of this package, without the one in `tests/plugins` and other installed ones."""
    return [each for each in all_runtimes() if type(each).__module__.startswith("sqsam_deploy.")]


class RecordedSteps(SilentSteps):
    """Keeps what it is told, of all lines of steps."""

    def __init__(self) -> None:
        self.begun: list[str] = []

    def begin(self, what: str) -> None:
        self.begun.append(what)


def entry(
    directory: Path, name: str, runtime: RuntimeName, weights_sha256: str = WEIGHTS.sha256
) -> ArtifactEntry:
    """An int8 artifact of `nano`, whose bytes are in the directory."""
    return ArtifactEntry(
        path=name,
        files=file_entries(directory, [directory / name]),
        metadata=describe(
            preset("nano"), runtime=runtime, precision="int8", weights_sha256=weights_sha256
        ),
        agreement=AGREEMENT,
        minimum_runtime="1.22",
    )


def manifest_of(*entries: ArtifactEntry, weights: WeightsEntry = WEIGHTS) -> Manifest:
    """A manifest that says no more than it must."""
    return Manifest(
        name="squeezesam-nano",
        preset="nano",
        weights=weights,
        calibration=None,
        tools={"torch": "2.13.0"},
        git_revision=None,
        artifacts=entries,
    )


def write_export(directory: Path, *entries: ArtifactEntry, weights: WeightsEntry = WEIGHTS) -> Path:
    """Makes an export of a directory that holds the artifacts already."""
    write_manifest(directory, manifest_of(*entries, weights=weights))
    return directory

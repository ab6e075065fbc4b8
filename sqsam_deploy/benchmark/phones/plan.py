"""The measurement plan for the apps in `ios_harness/` and `android_harness/`, and their inputs.

The app draws no prompts and resizes no photos: every input lies beside the artifacts as the raw
bytes of the tensor that the artifact declares.
"""

import hashlib
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import Field

from sqsam_deploy._internal.atomic import atomic_write
from sqsam_deploy.artifact.documents import Frozen
from sqsam_deploy.artifact.manifest import ArtifactEntry, read_manifest, verify_files
from sqsam_deploy.artifact.metadata import ArtifactMetadata, ElementType
from sqsam_deploy.benchmark.photos import Photo, load_photos
from sqsam_deploy.benchmark.result import NotMeasured
from sqsam_deploy.errors import UsageError
from sqsam_deploy.model.description import config_of
from sqsam_deploy.runtimes.base import System
from sqsam_deploy.runtimes.registry import all_runtimes

PLAN_NAME = "plan.json"
#: The app prints a line that begins so for every turn.
TURN_MARK = "turn "


class PlannedInput(Frozen):
    """One input tensor.

    Attributes:
        layout: "image" is a Core ML image: RGB bytes that the app puts into a pixel buffer.
    """

    name: str
    dtype: ElementType
    shape: tuple[int, ...]
    layout: str


class PlannedArtifact(Frozen):
    """One artifact beside the plan.

    Attributes:
        compute: Each is a row of its own.
        feeds: For each photo, a file beside the plan for each of `inputs`.
    """

    name: str
    runtime: str
    precision: str
    preset: str
    bytes: int
    compute: tuple[str, ...]
    inputs: tuple[PlannedInput, ...]
    feeds: tuple[tuple[str, ...], ...] = Field(min_length=1)


class PhonePlan(Frozen):
    """`plan.json`.

    Attributes:
        device_name: What the phone's maker calls it, which only the Mac knows.
        rounds: Turns of every row.
        turn_ms: Milliseconds that a turn should last.
        discarded: Inferences at the start of a turn that are not recorded.
        warm_up: Inferences of the first turn before anything is recorded.
        image_sizes: Width and height of the photos, in the order of the feeds.
    """

    plan_version: Literal[1] = 1
    device_name: str | None = None
    rounds: int = Field(ge=1)
    turn_ms: float = Field(gt=0)
    discarded: int = Field(ge=0)
    warm_up: int = Field(ge=0)
    image_sizes: tuple[tuple[int, int], ...]
    artifacts: tuple[PlannedArtifact, ...] = Field(min_length=1)

    @property
    def turns(self) -> int:
        """Turns of all rows together."""
        return self.rounds * sum(len(artifact.compute) for artifact in self.artifacts)


@dataclass(frozen=True)
class PlanRequest:
    """The measurements to take on a phone.

    Attributes:
        directories: Of artifacts, each with its manifest.
        device_name: See `PhonePlan`.
        rounds: See `PhonePlan`.
        photos: How many of the bundled photos are fed, in turn.
        system: Of the phone.
    """

    directories: Sequence[Path]
    device_name: str | None = None
    rounds: int = 12
    photos: int = 4
    system: Literal["iOS", "Android"] = "iOS"


def write_bundle(request: PlanRequest, folder: Path) -> tuple[PhonePlan, list[NotMeasured]]:
    """Writes what goes onto the phone: artifacts, inputs and the plan.

    Args:
        request: What shall be measured.
        folder: Existing, empty directory.

    Returns:
        The plan, and the artifacts that no app on a phone runs.

    Raises:
        ArtifactError: A directory has no manifest, or a file is not the one it lists.
        UsageError: None of the artifacts runs on a phone, or two have one name.
    """
    entries = list(_verified(request.directories))
    system = request.system
    left_out = [_left_out(entry, system) for _, entry in entries if not _can_run(entry, system)]
    entries = [(directory, entry) for directory, entry in entries if _can_run(entry, system)]
    _check_names([entry for _, entry in entries], system)
    photos = load_photos(request.photos)
    for directory, entry in entries:
        _copy(directory / entry.path, folder / entry.path)
        # For an app that has to know the outputs beforehand.
        about = entry.metadata.model_dump_json(indent=1) + "\n"
        (folder / f"{entry.path}.json").write_text(about)
    plan = PhonePlan(
        device_name=request.device_name,
        rounds=request.rounds,
        turn_ms=500,
        discarded=2,
        warm_up=10,
        image_sizes=tuple((photo.image.shape[1], photo.image.shape[0]) for photo in photos),
        artifacts=tuple(_planned(entry, system, photos, folder) for _, entry in entries),
    )
    atomic_write(folder / PLAN_NAME, (plan.model_dump_json(indent=1) + "\n").encode())
    return plan, left_out


def _verified(directories: Sequence[Path]) -> Iterator[tuple[Path, ArtifactEntry]]:
    for directory in directories:
        manifest = read_manifest(directory)
        verify_files(directory, manifest)
        yield from ((directory, entry) for entry in manifest.artifacts)


def _can_run(entry: ArtifactEntry, system: System) -> bool:
    return entry.metadata.task == "segmentation" and bool(_compute(entry, system))


def _compute(entry: ArtifactEntry, system: System) -> tuple[str, ...]:
    """How the app can run an artifact; it knows nothing of runtimes that are not installed here."""
    known = {runtime.name: runtime.phone_compute.get(system, ()) for runtime in all_runtimes()}
    return known.get(entry.metadata.runtime, ())


def _left_out(entry: ArtifactEntry, system: System) -> NotMeasured:
    saliency = entry.metadata.task == "saliency"
    reason = (
        "a saliency network has no prompts: the protocol does not apply"
        if saliency
        else f"the app does not run {entry.metadata.runtime}"
    )
    setup = "iphone" if system == "iOS" else "android"
    return NotMeasured(subject=entry.path, setup=setup, reason=reason)


def _check_names(entries: Sequence[ArtifactEntry], system: System) -> None:
    names = [entry.path for entry in entries]
    if not names:
        offered = " or ".join(each.name for each in all_runtimes() if system in each.phone_compute)
        phone = "an iPhone" if system == "iOS" else "an Android phone"
        raise UsageError(f"none of the artifacts runs on {phone}: export {offered}")
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"two artifacts are called {name}: measure their directories apart")


def _copy(source: Path, target: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copyfile(source, target)


def _planned(
    entry: ArtifactEntry, system: System, photos: Sequence[Photo], folder: Path
) -> PlannedArtifact:
    metadata = entry.metadata
    return PlannedArtifact(
        name=entry.path,
        runtime=metadata.runtime,
        precision=metadata.precision,
        preset=metadata.preset,
        bytes=entry.bytes,
        compute=_compute(entry, system),
        inputs=tuple(
            PlannedInput(name=spec.name, dtype=spec.dtype, shape=spec.shape, layout=spec.layout)
            for spec in metadata.inputs
        ),
        feeds=tuple(_write_feeds(metadata, photo, folder) for photo in photos),
    )


def _write_feeds(metadata: ArtifactMetadata, photo: Photo, folder: Path) -> tuple[str, ...]:
    """Files of one photo's inputs, named by their content: artifacts share them."""
    from sqsam_deploy.prompts import encode_prompt, prepare_image
    from sqsam_deploy.prompts.binding import bind_inputs

    config = config_of(metadata)
    encoded = encode_prompt(photo.prompt, photo.image.shape[:2], config)
    values = bind_inputs(metadata.inputs, prepare_image(photo.image, config), encoded)
    (folder / "inputs").mkdir(exist_ok=True)
    names = []
    for spec in metadata.inputs:
        content = values[spec.name].tobytes()  # C order, little-endian as every iPhone
        name = f"inputs/{hashlib.sha256(content).hexdigest()[:16]}.bin"
        if not (folder / name).exists():
            (folder / name).write_bytes(content)
        names.append(name)
    return tuple(names)

"""The outputs of artifacts on two machines: do kernels of another processor compute the same?

Both run the same files on the same photos and prompts. Only numbers are compared: under emulation
a time says nothing.
"""

import hashlib
import itertools
import os
import platform
import shutil
import subprocess
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from sqsam_deploy._internal.atomic import atomic_file
from sqsam_deploy._internal.geometry import mask_iou
from sqsam_deploy._internal.temporary import scratch_directory
from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.datasets import ImageRecord, bundled_dataset
from sqsam_deploy.errors import ArtifactError, DataError, MissingDependencyError, UsageError
from sqsam_deploy.evaluation.discovery import artifact_sha256, artifacts_alone
from sqsam_deploy.model.description import config_of
from sqsam_deploy.networks.agreement import largest_object_prompts
from sqsam_deploy.prompts.binding import bind_inputs
from sqsam_deploy.runtimes.registry import find_runtime, is_checkpoint, open_session, runtime_of
from sqsam_deploy.runtimes.session import Session

_QEMU = ("qemu-aarch64-static", "qemu-aarch64")
#: In an emulated system: Python, and the folder of the programs `run_RUNTIME`.
_PYTHON, _PROGRAMS = "usr/bin/python3", "opt/sqsam"
_MAKER = "benchmarks/arm64/root.sh"
#: The processor, where the user's environment names none: everything that QEMU knows but SME, whose
#: emulation in QEMU 7.2 computes something else (10.0 computes the same bits as x86-64).
_PROCESSOR = {"QEMU_CPU": "max,sme=off"}


@dataclass(frozen=True)
class ArtifactOutputs:
    """The outputs of one artifact for N prompts.

    Attributes:
        software: The processor and the runtime that ran it: "aarch64, onnxruntime 1.31.1".
        sha256: Of the artifact.
        inputs: SHA-256 of everything that it was given.
        low_res_masks: NxMxsxs float32 logits.
        iou_predictions: NxM float32.
    """

    software: str
    sha256: str
    inputs: str
    low_res_masks: NDArray[np.float32]
    iou_predictions: NDArray[np.float32]


@dataclass(frozen=True)
class MachineOutputs:
    """The outputs of several artifacts on one machine.

    Attributes:
        photos: The number of photos of the bundled sample, four prompts on each.
        artifacts: By name.
    """

    photos: int
    artifacts: Mapping[str, ArtifactOutputs]


@dataclass(frozen=True)
class OutputsDifference:
    """The differences between the outputs of one artifact on two machines.

    Attributes:
        artifact: Its name.
        software: What ran it here and there.
        prompts: The number of prompts that it answered.
        logits: The number of logits.
        different_logits: How many of them differ.
        largest_difference: The largest difference of two logits.
        different_pixels: Pixels in which the masks that a user would see differ, each the mask
            that its machine ranks first, at the network's resolution.
        lowest_agreement: The lowest IoU of two such masks.
        disagreements: The number of prompts whose masks agree at less than the limit.
    """

    artifact: str
    software: tuple[str, str]
    prompts: int
    logits: int
    different_logits: int
    largest_difference: float
    different_pixels: int
    lowest_agreement: float
    disagreements: int


def artifacts_that_run_here(directory: Path, only: Sequence[str] = ()) -> dict[str, Path]:
    """The segmentation artifacts of a directory that this machine can run itself, by name.

    Args:
        directory: What `sqsam-export` wrote, or any directory with artifacts.
        only: Names to keep, or empty for all.

    Raises:
        UsageError: The directory does not exist, lacks one of `only`, or has no such artifact.
        ArtifactError: An artifact is damaged.
    """
    found = {
        each.name: each.path
        for each in artifacts_alone(directory, only)
        if isinstance(each.metadata, ArtifactMetadata)
        and not is_checkpoint(each.path)
        and find_runtime(each.metadata.runtime).runs_here() is None
    }
    if not found:
        raise UsageError(f"{directory} has no artifact that this machine can run")
    return found


@dataclass(frozen=True)
class Opened:
    """An artifact that can be run.

    Attributes:
        session: It.
        software: As in `ArtifactOutputs`.
    """

    session: Session
    software: str


@contextmanager
def opened_here(path: Path) -> Iterator[Opened]:
    """An artifact on this machine, with one thread.

    Raises:
        SqsamError: It cannot be read or run.
    """
    runtime = runtime_of(path)
    yield Opened(
        open_session(path, threads=1), f"{platform.machine()}, {runtime.runtime_version()}"
    )


def run_artifacts(
    artifacts: Mapping[str, Path],
    opened: Callable[[Path], AbstractContextManager[Opened]],
    photos: int,
    progress: Callable[[int], None],
) -> MachineOutputs:
    """Runs artifacts on the first photos of the bundled sample.

    Args:
        artifacts: Their paths by name.
        opened: Opens one for as long as it runs: `opened_here`, or `Emulator.opened`.
        photos: The number of photos.
        progress: Called with the number of photos done, over all artifacts.

    Raises:
        SqsamError: An artifact cannot be read or run.
    """
    records = list(itertools.islice(bundled_dataset("sample"), photos))
    done = itertools.count(1)
    found = {}
    for name, path in artifacts.items():
        with opened(path) as artifact:
            found[name] = _run(path, artifact, records, lambda: progress(next(done)))
    return MachineOutputs(len(records), found)


def _run(
    path: Path, opened: Opened, records: Sequence[ImageRecord], step: Callable[[], None]
) -> ArtifactOutputs:
    metadata = opened.session.metadata
    inputs, masks, ious = hashlib.sha256(), [], []
    for record in records:
        for _, image, prompt in largest_object_prompts(record, config_of(metadata)):
            feeds = bind_inputs(metadata.inputs, image, prompt)
            for value in feeds.values():
                inputs.update(value.tobytes())
            found = opened.session.run_inputs(feeds)
            # A runtime may write its next outputs over these.
            masks.append(found.low_res_masks.copy())
            ious.append(found.iou_predictions.copy())
        step()
    return ArtifactOutputs(
        software=opened.software,
        sha256=artifact_sha256(path),
        inputs=inputs.hexdigest(),
        low_res_masks=np.stack(masks),
        iou_predictions=np.stack(ious),
    )


def write_outputs(outputs: MachineOutputs, path: Path) -> None:
    """Writes a NumPy archive, for `read_outputs` on another machine.

    Raises:
        OSError: The disk is full or the folder cannot be written.
    """
    arrays: dict[str, Any] = {"photos": outputs.photos}
    for name, each in outputs.artifacts.items():
        arrays |= {f"{name}/{key}": value for key, value in vars(each).items()}
    with atomic_file(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_outputs(path: Path) -> MachineOutputs:
    """Reads what `write_outputs` wrote.

    Raises:
        DataError: The file is missing, damaged or something else.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            arrays = dict(stored)
        names = dict.fromkeys(key.rpartition("/")[0] for key in arrays if "/" in key)
        artifacts = {name: _artifact(name, arrays) for name in names}
        return MachineOutputs(int(arrays["photos"]), artifacts)
    except FileNotFoundError:
        raise DataError(f"{path} does not exist: write it with --save on another machine") from None
    except (OSError, EOFError, KeyError, TypeError, ValueError, zipfile.BadZipFile):
        raise DataError(
            f"{path} is damaged, or was not written by sqsam-parity outputs --save"
        ) from None


def _artifact(name: str, arrays: Mapping[str, NDArray[Any]]) -> ArtifactOutputs:
    values: dict[str, Any] = {
        field.name: arrays[f"{name}/{field.name}"] for field in fields(ArtifactOutputs)
    }
    text = {key: str(value) for key, value in values.items() if value.dtype.kind == "U"}
    return ArtifactOutputs(**values | text)


def compare_outputs(
    here: MachineOutputs, there: MachineOutputs, min_agreement: float
) -> tuple[OutputsDifference, ...]:
    """The differences, for every artifact that ran here.

    Args:
        here: Outputs of this machine.
        there: Outputs of the other one.
        min_agreement: The IoU that two masks have to reach.

    Raises:
        DataError: The other machine did not run the same artifacts on the same inputs.
    """
    return tuple(
        _difference(name, outputs, there, min_agreement) for name, outputs in here.artifacts.items()
    )


def _difference(
    name: str, here: ArtifactOutputs, machine: MachineOutputs, min_agreement: float
) -> OutputsDifference:
    there = machine.artifacts.get(name)
    if there is None:
        raise DataError(f"there are no outputs of {name} from the other machine")
    if here.sha256 != there.sha256:
        raise DataError(f"{name} is not the file that the other machine ran: compare the same one")
    if here.inputs != there.inputs:
        raise DataError(
            f"the other machine gave {name} other inputs: take the same photos, and the same "
            "versions of this package, Pillow and NumPy"
        )
    masks, others = _shown(here), _shown(there)
    agreements = [mask_iou(mask, other) for mask, other in zip(masks, others, strict=True)]
    gaps = np.abs(here.low_res_masks - there.low_res_masks)
    return OutputsDifference(
        artifact=name,
        software=(here.software, there.software),
        prompts=len(agreements),
        logits=gaps.size,
        different_logits=int(np.count_nonzero(gaps)),
        largest_difference=float(gaps.max()),
        different_pixels=int(np.count_nonzero(masks ^ others)),
        lowest_agreement=float(min(agreements)),
        disagreements=int(np.less(agreements, min_agreement).sum()),
    )


def _shown(outputs: ArtifactOutputs) -> NDArray[np.bool_]:
    """The mask that is ranked first for each prompt, Nxsxs."""
    best = outputs.iou_predictions.argmax(axis=1)
    shown: NDArray[np.bool_] = outputs.low_res_masks[np.arange(len(best)), best] > 0
    return shown


@dataclass(frozen=True)
class Emulator:
    """An emulated arm64 system: QEMU's program, and the folder with the system's files."""

    qemu: str
    root: Path

    @contextmanager
    def opened(self, path: Path) -> Iterator[Opened]:
        """An artifact that the system's own runtime runs, with one thread.

        Raises:
            MissingDependencyError: The folder has nothing that runs artifacts of its runtime.
            ArtifactError: The artifact cannot be read, or the emulated process ends.
        """
        runtime = runtime_of(path)
        command = self._command(runtime.name)
        with scratch_directory("emulate") as folder, tempfile.TemporaryFile("w+") as errors:
            worker = subprocess.Popen(
                [*command, str(path.absolute()), str(folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env=_PROCESSOR | os.environ,
            )
            try:
                session = _EmulatedSession(runtime.read_metadata(path), worker, folder, errors)
                machine, _, software = session.answer().partition(" ")
                yield Opened(session, f"{machine}, {software}")
            finally:
                worker.kill()
                worker.communicate()

    def _command(self, runtime: str) -> tuple[str, ...]:
        program = self.root / _PROGRAMS / f"run_{runtime}"
        script = program.with_suffix(".py")
        if program.is_file():
            words = [program]
        elif script.is_file():
            words = [self.root / _PYTHON, script]
        else:
            raise MissingDependencyError(
                f"--emulate: {self.root} has no {_PROGRAMS}/run_{runtime}: make the folder with "
                f"{_MAKER}, or leave such artifacts out with --only"
            )
        return (self.qemu, "-L", str(self.root), *map(str, words))


def open_emulator(root: Path) -> Emulator:
    """The emulator of a folder with the files of an arm64 system.

    Raises:
        MissingDependencyError: QEMU is not installed, or there is no such folder.
    """
    qemu = next(filter(None, map(shutil.which, _QEMU)), None)
    if qemu is None:
        raise MissingDependencyError(
            f"--emulate needs {_QEMU[0]}: install the system's package qemu-user-static"
        )
    if not (root / _PROGRAMS).is_dir():
        raise MissingDependencyError(
            f"--emulate: {root} has no {_PROGRAMS}: make the folder with {_MAKER}"
        )
    return Emulator(qemu, root.absolute())


class _EmulatedSession(Session):
    """An artifact in another process, which reads and writes arrays as files of a folder."""

    def __init__(
        self,
        metadata: ArtifactMetadata,
        worker: "subprocess.Popen[str]",
        folder: Path,
        errors: IO[str],
    ) -> None:
        self.metadata = metadata
        self._worker, self._folder, self._errors = worker, folder, errors

    @override
    def execute(
        self, feeds: Mapping[str, NDArray[np.generic]]
    ) -> Mapping[str, NDArray[np.generic]]:
        for place, spec in enumerate(self.metadata.inputs):
            feeds[spec.name].tofile(self._folder / f"in-{place}.bin")
        assert self._worker.stdin is not None
        self._worker.stdin.write("run\n")
        self._worker.stdin.flush()
        self.answer()
        return {
            spec.name: np.fromfile(self._folder / f"out-{place}.bin", spec.dtype).reshape(
                spec.shape
            )
            for place, spec in enumerate(self.metadata.outputs)
        }

    def answer(self) -> str:
        """The worker's next line.

        Raises:
            ArtifactError: It ended; the message is its last words.
        """
        assert self._worker.stdout is not None
        line = self._worker.stdout.readline()
        if not line:
            code = self._worker.wait()
            self._errors.seek(0)
            words = self._errors.read().strip().splitlines() or [f"exit code {code}"]
            raise ArtifactError(f"the emulated process failed: {words[-1]}")
        return line.strip()

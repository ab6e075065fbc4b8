"""The exported programs of one export: each is made once and shared by all runtimes."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from sqsam_deploy._internal.atomic import atomic_write
from sqsam_deploy._internal.progress import Steps
from sqsam_deploy.artifact.files import FileEntry, file_entries
from sqsam_deploy.artifact.manifest import CalibrationEntry
from sqsam_deploy.datasets import Dataset
from sqsam_deploy.errors import UsageError
from sqsam_deploy.networks.base import Calibration, Network
from sqsam_deploy.networks.precisions import PRECISIONS
from sqsam_deploy.pipeline.targets import ProgramKey

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from sqsam_deploy.quantization import QuantizedModel, Samples
    from sqsam_deploy.quantization.calibration import Sample

#: What the int8 report is called, beside the artifacts.
LAYERS_NAME = "quantization.json"


class _Attended:
    """A calibration set that reports each input that is taken from it."""

    def __init__(self, samples: "Samples", attend: Callable[[], None]) -> None:
        self._samples, self._attend = samples, attend

    def __len__(self) -> int:
        return len(self._samples)

    def __iter__(self) -> "Iterator[Sample]":
        for sample in self._samples:
            self._attend()
            yield sample


class Programs:
    """Makes the programs of one network as they are asked for.

    Args:
        network: The network.
        photos: Images that int8 ranges are measured on, already drawn.
        seed: Of the prompts on them, as the manifest states it.

    Attributes:
        network: The network.
        attend: Called between the inputs of a calibration, which can take a minute.
    """

    def __init__(self, network: Network, photos: Dataset, seed: int) -> None:
        self.network, self._photos, self._seed = network, photos, seed
        self.attend: Callable[[], None] = lambda: None
        self.folded = network.fold()
        self._made: dict[ProgramKey, ExportedProgram] = {}
        self._calibration: Calibration | None = None
        #: Quantized programs with their reports, in the order they were made.
        self.quantized: dict[ProgramKey, QuantizedModel] = {}

    @property
    def calibration(self) -> CalibrationEntry | None:
        """The data that int8 ranges were measured on; None where nothing is int8."""
        return None if self._calibration is None else self._calibration.entry

    def check(self, keys: Iterable[ProgramKey]) -> None:
        """Refuses what cannot be made, before anything is.

        Raises:
            UsageError: A pattern of modules to keep in float matches none.
        """
        for key in keys:
            self._refuse_unmatched(key.keep_float)

    def _refuse_unmatched(self, patterns: tuple[str, ...]) -> None:
        names = [name for name, _ in self.folded.module.named_modules()]
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise UsageError(
                    f"keep_float: no module of the {self.network.name} network is called "
                    f"'{pattern}': quantization.json of an int8 export lists the names"
                )

    def make(self, key: ProgramKey, steps: Steps) -> "ExportedProgram":
        """A program, made now if it is not made yet.

        Args:
            key: Which one.
            steps: Receives the step when it has to be made.

        Raises:
            DataError: A calibration image cannot be read.
        """
        if key not in self._made:
            but = f", {', '.join(key.keep_float)} in float" if key.keep_float else ""
            steps.begin(f"making the {key.precision} program of {self.network.name}{but}")
            made = PRECISIONS[key.precision].make(self.folded, self.samples, key.keep_float)
            self._made[key] = made.exported
            if made.quantized is not None:
                self.quantized[key] = made.quantized
        return self._made[key]

    def forget_others(self, keys: Collection[ProgramKey]) -> None:
        """Forgets programs of other keys."""
        for key in self._made.keys() - {*keys}:
            del self._made[key]
            self.quantized.pop(key, None)

    def samples(self) -> "Samples":
        """The inputs that int8 ranges are measured on.

        Raises:
            DataError: A calibration image cannot be read.
        """
        if self._calibration is None:
            self._calibration = self.network.calibration(self._photos, self._seed)
        return _Attended(self._calibration.samples, self.attend)

    def write_reports(self, staging: Path, notes: Mapping[str, object]) -> tuple[FileEntry, ...]:
        """Writes one report for each int8 program: `quantization.json`, `quantization-2.json`.

        Args:
            staging: The directory.
            notes: What else to write, by key.
        """
        paths = []
        for number, quantized in enumerate(self.quantized.values(), start=1):
            name = LAYERS_NAME if number == 1 else LAYERS_NAME.replace(".", f"-{number}.")
            atomic_write(staging / name, quantized.to_json(notes).encode())
            paths.append(staging / name)
        return file_entries(staging, paths)

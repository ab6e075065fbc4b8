"""The exported programs of one export: each is made once and shared by all runtimes."""

from collections.abc import Callable, Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING

from sqsam_deploy._internal.atomic import atomic_write
from sqsam_deploy._internal.progress import Steps
from sqsam_deploy.artifact.files import FileEntry, file_entries
from sqsam_deploy.artifact.manifest import CalibrationEntry
from sqsam_deploy.datasets import Dataset
from sqsam_deploy.errors import UsageError
from sqsam_deploy.folding import FoldedModel
from sqsam_deploy.pipeline.targets import ProgramKey

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from sqsam_deploy.quantization import CalibrationSet, QuantizedModel
    from sqsam_deploy.quantization.calibration import Sample

#: What the int8 report is called, beside the artifacts.
LAYERS_NAME = "quantization.json"


class _Attended:
    """A calibration set that somebody is told about each time an input is taken from it."""

    def __init__(self, samples: "CalibrationSet", attend: Callable[[], None]) -> None:
        self._samples, self._attend = samples, attend

    def __len__(self) -> int:
        return len(self._samples)

    def __iter__(self) -> "Iterator[Sample]":
        for sample in self._samples:
            self._attend()
            yield sample


class Programs:
    """Makes programs as they are asked for.

    Args:
        folded: The network.
        photos: Images that int8 ranges are measured on, already drawn.
        seed: Of the prompts on them, as the manifest states it.
        steps: Told what is being done.
        attend: Called between the inputs of a calibration, which can take a minute.
    """

    def __init__(
        self,
        folded: FoldedModel,
        photos: Dataset,
        seed: int,
        steps: Steps,
        attend: Callable[[], None],
    ) -> None:
        self._folded, self._photos, self._seed, self._steps = folded, photos, seed, steps
        self._attend = attend
        self._made: dict[ProgramKey, ExportedProgram] = {}
        self._calibration: CalibrationSet | None = None
        #: Int8 programs with their reports, in the order they were made.
        self.quantized: dict[ProgramKey, QuantizedModel] = {}

    @property
    def calibration(self) -> CalibrationEntry | None:
        """What int8 ranges were measured on; None where nothing is int8."""
        return None if self._calibration is None else self._calibration.entry

    def check(self, keys: Iterable[ProgramKey]) -> None:
        """Refuses what cannot be made, before anything is.

        Raises:
            UsageError: A pattern of modules to keep in float matches none.
        """
        for key in keys:
            self._refuse_unmatched(key.keep_float)

    def make(self, key: ProgramKey) -> "ExportedProgram":
        """A program, made now if it is not made yet.

        Raises:
            DataError: A calibration image cannot be read.
        """
        if key not in self._made:
            self._made[key] = self._quantize(key) if key.precision == "int8" else self._float(key)
        return self._made[key]

    def _refuse_unmatched(self, patterns: tuple[str, ...]) -> None:
        names = [name for name, _ in self._folded.network.named_modules()]
        for pattern in patterns:
            if not any(fnmatchcase(name, pattern) for name in names):
                raise UsageError(
                    f"keep_float: no module of the {self._folded.config.name} network is called "
                    f"'{pattern}': quantization.json of an int8 export lists the names"
                )

    def _float(self, key: ProgramKey) -> "ExportedProgram":
        from sqsam_deploy.quantization import export_fp16, export_fp32

        self._steps.begin(f"tracing the {key.precision} program")
        return (export_fp16 if key.precision == "fp16" else export_fp32)(self._folded)

    def _quantize(self, key: ProgramKey) -> "ExportedProgram":
        from sqsam_deploy.quantization import QuantizationScheme, build_calibration, quantize

        but = f" but {', '.join(key.keep_float)}" if key.keep_float else ""
        self._steps.begin(f"calibrating and quantizing to int8{but}")
        if self._calibration is None:
            self._calibration = build_calibration(
                self._photos, self._folded.config, seed=self._seed
            )
        scheme = QuantizationScheme(keep_float=key.keep_float)
        self.quantized[key] = quantize(
            self._folded, _Attended(self._calibration, self._attend), scheme
        )
        return self.quantized[key].program

    def write_reports(self, staging: Path) -> tuple[FileEntry, ...]:
        """Writes one report for each int8 program: `quantization.json`, `quantization-2.json`."""
        paths = []
        for number, quantized in enumerate(self.quantized.values(), start=1):
            name = LAYERS_NAME if number == 1 else LAYERS_NAME.replace(".", f"-{number}.")
            atomic_write(staging / name, quantized.to_json().encode())
            paths.append(staging / name)
        return file_entries(staging, paths)

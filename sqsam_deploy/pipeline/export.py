"""The main job: load, fold, quantize, lower, execute, compare, write."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqsam_deploy.checkpoint import Checkpoint, load_checkpoint
from sqsam_deploy.datasets import Dataset, ImageRecord, bundled_dataset, open_dataset, subset
from sqsam_deploy.errors import GateError
from sqsam_deploy.folding import FoldedModel, fold
from sqsam_deploy.pipeline.agreement import Probe, make_probes, measure
from sqsam_deploy.pipeline.progress import SilentSteps, Steps
from sqsam_deploy.pipeline.provenance import git_revision, tool_versions
from sqsam_deploy.pipeline.saliency import build_saliency, saliency_step_count
from sqsam_deploy.pipeline.staging import staged_directory
from sqsam_deploy.pipeline.targets import AGREEMENT_LIMITS, Target, program_precision
from sqsam_deploy.release.manifest import (
    MANIFEST_NAME,
    ArtifactEntry,
    CalibrationEntry,
    FileEntry,
    Manifest,
    WeightsEntry,
    file_entries,
    write_manifest,
)
from sqsam_deploy.runtimes import open_session, runtime_package
from sqsam_deploy.runtimes.metadata import Precision, describe
from sqsam_deploy.runtimes.torch import TorchSession
from sqsam_deploy.saliency.network import SaliencyCheckpoint, load_saliency

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from sqsam_deploy.quantization import QuantizedModel

#: Photos every artifact is executed on before it is written.
PROBE_IMAGES = 4
#: What the int8 report is called, beside the artifacts.
LAYERS_NAME = "quantization.json"


@dataclass(frozen=True)
class ExportRequest:
    """What to build from what.

    Attributes:
        targets: Artifacts to build.
        output: Directory to make or replace.
        checkpoint: Weights; None is the bundled reference.
        calibration: Image-and-mask folder or COCO JSON; None is the bundled calibration set.
        calibration_size: Images that the int8 ranges are measured on; None is all of them.
        seed: Of the prompts drawn for calibration, and of the choice of images.
        with_saliency: Whether the bundled saliency network is built too, for the same targets.
    """

    targets: tuple[Target, ...]
    output: Path
    checkpoint: Path | None = None
    calibration: Path | None = None
    calibration_size: int | None = None
    seed: int = 0
    with_saliency: bool = False


def step_count(request: ExportRequest) -> int:
    """Steps that `export` reports for a request."""
    precisions = {program_precision(target.precision) for target in request.targets}
    saliency = saliency_step_count(request.targets) if request.with_saliency else 0
    return 2 + len(precisions) + 2 * len(request.targets) + saliency


def export(request: ExportRequest, steps: Steps | None = None) -> Manifest:
    """Builds every target, executes it, and puts all of them in place at once.

    Raises:
        GateError: An artifact agrees too little with the float network.
        SqsamError: The checkpoint, the calibration data or the output cannot be used.
    """
    steps = steps or SilentSteps()
    with staged_directory(request.output, marker=MANIFEST_NAME) as staging:
        return _export_into(staging, request, steps)


def _export_into(staging: Path, request: ExportRequest, steps: Steps) -> Manifest:
    steps.begin("loading and folding the weights")
    checkpoint = load_checkpoint(request.checkpoint)
    saliency = load_saliency() if request.with_saliency else None
    folded = fold(checkpoint.model)
    programs = _Programs(folded, request, steps)
    for precision in dict.fromkeys(target.precision for target in request.targets):
        programs.make(precision)
    steps.begin("running the float network on the comparison photos")
    probes = _probes(checkpoint)
    entries = tuple(
        _build(target, checkpoint, programs[target.precision], probes, staging, steps)
        for target in request.targets
    )
    if saliency is not None:
        photos, comparison = _calibration_photos(request), _comparison_photos()
        entries += build_saliency(saliency, request.targets, photos, comparison, staging, steps)
    manifest = Manifest(
        name=f"squeezesam-{checkpoint.config.name}",
        preset=checkpoint.config.name,
        weights=_weights_entry(checkpoint),
        saliency_weights=None if saliency is None else _weights_entry(saliency),
        calibration=programs.calibration,
        tools=tool_versions(),
        git_revision=git_revision(),
        artifacts=entries,
        extra_files=programs.write_reports(staging),
    )
    write_manifest(staging, manifest)
    return manifest


def _weights_entry(checkpoint: Checkpoint | SaliencyCheckpoint) -> WeightsEntry:
    return WeightsEntry(name=checkpoint.name, sha256=checkpoint.sha256, licence=checkpoint.licence)


class _Programs:
    """One exported program a precision, shared by all runtimes."""

    def __init__(self, folded: FoldedModel, request: ExportRequest, steps: Steps) -> None:
        self._folded, self._request, self._steps = folded, request, steps
        self._made: dict[Precision, ExportedProgram] = {}
        self._quantized: QuantizedModel | None = None
        self.calibration: CalibrationEntry | None = None

    def __getitem__(self, precision: Precision) -> "ExportedProgram":
        return self._made[program_precision(precision)]

    def make(self, precision: Precision) -> None:
        key = program_precision(precision)
        if key not in self._made:
            self._made[key] = self._quantize() if key == "int8" else self._export_float(key)

    def _export_float(self, precision: Precision) -> "ExportedProgram":
        from sqsam_deploy.quantization import export_fp16, export_fp32

        self._steps.begin(f"tracing the {precision} program")
        return (export_fp16 if precision == "fp16" else export_fp32)(self._folded)

    def _quantize(self) -> "ExportedProgram":
        from sqsam_deploy.quantization import build_calibration, quantize

        self._steps.begin("calibrating and quantizing to int8")
        request = self._request
        calibration = build_calibration(
            _calibration_dataset(request.calibration),
            self._folded.config,
            size=request.calibration_size,
            seed=request.seed,
        )
        self.calibration = calibration.entry
        self._quantized = quantize(self._folded, calibration)
        return self._quantized.program

    def write_reports(self, staging: Path) -> tuple[FileEntry, ...]:
        if self._quantized is None:
            return ()
        (staging / LAYERS_NAME).write_text(self._quantized.to_json())
        return file_entries(staging, [staging / LAYERS_NAME])


def _calibration_dataset(path: Path | None) -> Dataset:
    return bundled_dataset("calibration") if path is None else open_dataset(path)


def _calibration_photos(request: ExportRequest) -> Dataset:
    dataset = _calibration_dataset(request.calibration)
    size = request.calibration_size
    return dataset if size is None else subset(dataset, size, request.seed)


def _comparison_photos() -> list[ImageRecord]:
    return list(itertools.islice(bundled_dataset("sample"), PROBE_IMAGES))


def _probes(checkpoint: Checkpoint) -> list[Probe]:
    return make_probes(_comparison_photos(), TorchSession(checkpoint), checkpoint.config)


def _build(
    target: Target,
    checkpoint: Checkpoint,
    program: "ExportedProgram",
    probes: Sequence[Probe],
    staging: Path,
    steps: Steps,
) -> ArtifactEntry:
    """Lowers one target, loads it again from disk and compares it with the float network."""
    runtime = runtime_package(target.runtime)
    path = staging / target.file_name(checkpoint.config.name)
    metadata = describe(
        checkpoint.config,
        runtime=target.runtime,
        precision=target.precision,
        weights_sha256=checkpoint.sha256,
        inputs=runtime.input_specs(checkpoint.config),
    )
    steps.begin(f"lowering {path.name}")
    runtime.lower(program, metadata, path)
    steps.begin(f"executing {path.name}")
    agreement = measure(
        open_session(path),
        probes,
        images=PROBE_IMAGES,
        limit=AGREEMENT_LIMITS[target.precision],
        executor=runtime.executor(),
    )
    if agreement.mean_mask_iou < agreement.limit:
        raise GateError(
            f"{path.name} agrees with the float network at {agreement.mean_mask_iou:.3f} mean "
            f"mask IoU on {agreement.prompts} prompts, under the limit of {agreement.limit}: "
            "nothing was written"
        )
    return ArtifactEntry(
        path=path.name,
        files=file_entries(staging, [path]),
        metadata=metadata,
        agreement=agreement,
        minimum_runtime=runtime.minimum_runtime(metadata),
    )

"""The main job: load, fold, quantize, lower, execute, compare, write."""

import itertools
from dataclasses import dataclass
from pathlib import Path

from sqsam_deploy.checkpoint import Checkpoint, load_checkpoint
from sqsam_deploy.datasets import Dataset, ImageRecord, bundled_dataset, open_dataset, subset
from sqsam_deploy.errors import GateError
from sqsam_deploy.export_report.evidence import Evidence
from sqsam_deploy.folding import fold
from sqsam_deploy.pipeline.agreement import Probe, make_probes, measure
from sqsam_deploy.pipeline.programs import Programs
from sqsam_deploy.pipeline.progress import SilentSteps, Steps
from sqsam_deploy.pipeline.provenance import git_revision, tool_versions
from sqsam_deploy.pipeline.saliency import build_saliency, saliency_step_count
from sqsam_deploy.pipeline.staging import staged_directory
from sqsam_deploy.pipeline.targets import AGREEMENT_LIMITS, Target, saliency_targets
from sqsam_deploy.release.manifest import (
    MANIFEST_NAME,
    ArtifactEntry,
    BuildEntry,
    Manifest,
    WeightsEntry,
    file_entries,
    write_manifest,
)
from sqsam_deploy.runtimes import open_session, runtime_package
from sqsam_deploy.runtimes.metadata import ArtifactMetadata, describe
from sqsam_deploy.runtimes.torch import TorchSession
from sqsam_deploy.saliency.network import SaliencyCheckpoint, load_saliency

#: Photos every artifact is executed on before it is written.
PROBE_IMAGES = 4


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
        recipe: Name of the recipe that the targets are from, if they are from one.
    """

    targets: tuple[Target, ...]
    output: Path
    checkpoint: Path | None = None
    calibration: Path | None = None
    calibration_size: int | None = None
    seed: int = 0
    with_saliency: bool = False
    recipe: str | None = None


def step_count(request: ExportRequest) -> int:
    """Steps that `export` reports for a request: those of `export_artifacts`, and the report."""
    return artifact_step_count(request) + 1


def artifact_step_count(request: ExportRequest) -> int:
    """Steps that `export_artifacts` reports for a request."""
    programs = {target.program for target in request.targets}
    beside = saliency_targets(request.targets) if request.with_saliency else ()
    return 2 + len(programs) + 2 * len(request.targets) + saliency_step_count(beside)


def export(request: ExportRequest, steps: Steps | None = None) -> Manifest:
    """Builds every target, executes it, explains it, and puts all of that in place at once.

    Raises:
        GateError: An artifact agrees too little with the float network.
        UsageError: A pattern of modules to keep in float matches none.
        SqsamError: The checkpoint, the calibration data or the output cannot be used.
    """
    steps = steps or SilentSteps()
    with staged_directory(request.output, marker=MANIFEST_NAME) as staging:
        manifest, evidence = _export_into(staging, request, steps)
        steps.begin("explaining the artifacts in report.html")
        _explain(staging, manifest, evidence)
        return manifest


def export_artifacts(request: ExportRequest, steps: Steps | None = None) -> Manifest:
    """Does what `export` does without writing a report, which measures times.

    Raises:
        SqsamError: As `export` does.
    """
    with staged_directory(request.output, marker=MANIFEST_NAME) as staging:
        return _export_into(staging, request, steps or SilentSteps())[0]


def _export_into(staging: Path, request: ExportRequest, steps: Steps) -> tuple[Manifest, Evidence]:
    steps.begin("loading and folding the weights")
    checkpoint = load_checkpoint(request.checkpoint)
    saliency = load_saliency() if request.with_saliency else None
    photos = _calibration_photos(request)
    folded = fold(checkpoint.model)
    programs = Programs(folded, photos, request.seed, steps)
    programs.make(target.program for target in request.targets)
    steps.begin("running the float network on the comparison photos")
    evidence = Evidence(folded.steps, tuple(programs.quantized.values()), _probes(checkpoint))
    entries = tuple(
        _build(target, checkpoint, programs, evidence, staging, steps) for target in request.targets
    )
    if saliency is not None:
        beside, comparison = saliency_targets(request.targets), _comparison_photos()
        entries += build_saliency(saliency, beside, photos, comparison, staging, steps)
    manifest = Manifest(
        name=f"squeezesam-{checkpoint.config.name}",
        preset=checkpoint.config.name,
        recipe=request.recipe,
        weights=_weights_entry(checkpoint),
        saliency_weights=None if saliency is None else _weights_entry(saliency),
        calibration=programs.calibration,
        tools=tool_versions(),
        git_revision=git_revision(),
        artifacts=entries,
        extra_files=programs.write_reports(staging),
    )
    write_manifest(staging, manifest)
    return manifest, evidence


def _explain(staging: Path, manifest: Manifest, evidence: Evidence) -> None:
    from sqsam_deploy.export_report.report import write_export_report

    write_export_report(staging, manifest, evidence)


def _weights_entry(checkpoint: Checkpoint | SaliencyCheckpoint) -> WeightsEntry:
    return WeightsEntry(name=checkpoint.name, sha256=checkpoint.sha256, licence=checkpoint.licence)


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
    programs: Programs,
    evidence: Evidence,
    staging: Path,
    steps: Steps,
) -> ArtifactEntry:
    """Lowers one target, loads it again from disk and compares it with the float network."""
    runtime = runtime_package(target.runtime)
    path = staging / target.file_name(checkpoint.config.name)
    metadata = _metadata(target, checkpoint)
    steps.begin(f"lowering {path.name}")
    runtime.lower(programs[target.program], metadata, path)
    steps.begin(f"executing {path.name}")
    agreement = measure(
        evidence.watched(open_session(path), path.name),
        evidence.probes,
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
        build=BuildEntry(
            input_layout=target.layout, keep_float=target.program.keep_float, name=target.name
        ),
    )


def _metadata(target: Target, checkpoint: Checkpoint) -> ArtifactMetadata:
    return describe(
        checkpoint.config,
        runtime=target.runtime,
        precision=target.precision,
        weights_sha256=checkpoint.sha256,
        inputs=runtime_package(target.runtime).input_specs(checkpoint.config),
        deployment_target=target.lowest_ios,
    )

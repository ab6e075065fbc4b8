"""The main job: load, fold, quantize, lower, execute, compare, write."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from sqsam_deploy._internal.progress import SilentSteps, Steps
from sqsam_deploy._internal.staging import staged_directory
from sqsam_deploy._internal.upstream.torch import lean_tracing
from sqsam_deploy._internal.workers import Workers, open_workers
from sqsam_deploy.artifact.manifest import (
    MANIFEST_NAME,
    Agreement,
    ArtifactEntry,
    BuildEntry,
    Manifest,
    WeightsEntry,
    write_manifest,
)
from sqsam_deploy.artifact.metadata import ArtifactMetadata, RuntimeName, describe
from sqsam_deploy.artifact.provenance import git_revision, tool_versions
from sqsam_deploy.checkpoint import Checkpoint, load_checkpoint
from sqsam_deploy.datasets import Dataset, ImageRecord, bundled_dataset, open_dataset, subset
from sqsam_deploy.folding import fold
from sqsam_deploy.pipeline.agreement import Probe, make_probes, measure
from sqsam_deploy.pipeline.artifact import ArtifactPlan, build_artifact
from sqsam_deploy.pipeline.evidence import Evidence, Logits, WatchedSession
from sqsam_deploy.pipeline.programs import Programs
from sqsam_deploy.pipeline.request import ExportRequest
from sqsam_deploy.pipeline.saliency import build_saliency, saliency_step_count
from sqsam_deploy.pipeline.targets import Target, groups_by_program, saliency_targets
from sqsam_deploy.runtimes import runtime_package
from sqsam_deploy.runtimes.session import Session
from sqsam_deploy.runtimes.torch import TorchSession
from sqsam_deploy.saliency.network import SaliencyCheckpoint, load_saliency

if TYPE_CHECKING:
    from torch.export import ExportedProgram

#: Photos every artifact is executed on before it is written.
PROBE_IMAGES = 4

#: What building an artifact takes, roughly: the longest are begun first.
_COST: dict[RuntimeName, float] = {
    "executorch": 3.0,
    "executorch-coreml": 2.0,
    "coreml": 1.5,
    "onnx": 1.0,
}
_COST_OF_SALIENCY = 0.5


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
        UsageError: A recipe, a runtime or a module to keep in float does not exist.
        SqsamError: The checkpoint, the calibration data or the output cannot be used.
    """
    request, steps = request.resolved(), steps or SilentSteps()
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
    with lean_tracing(), open_workers(steps) as workers:
        programs = Programs(folded, photos, request.seed, steps, workers.attend)
        programs.check(target.program for target in request.targets)
        if saliency is not None:
            _start_saliency(workers, saliency, request.targets, photos, staging)
        steps.begin("running the float network on the comparison photos")
        probes = _probes(checkpoint)
        for target in _by_program(request.targets):
            plan = _plan(target, checkpoint, programs.make(target.program), staging)
            workers.start(partial(_built, plan, probes), _COST[target.runtime])
        built = _in_order(workers.results(), request.targets, checkpoint, saliency)
    evidence = Evidence(folded.steps, tuple(programs.quantized.values()), probes)
    evidence.answers.update({one.entry.path: one.answers for one in built if one.answers})
    manifest = Manifest(
        name=f"squeezesam-{checkpoint.config.name}",
        preset=checkpoint.config.name,
        recipe=request.recipe,
        weights=_weights_entry(checkpoint),
        saliency_weights=None if saliency is None else _weights_entry(saliency),
        calibration=programs.calibration,
        tools=tool_versions(),
        git_revision=git_revision(),
        artifacts=tuple(one.entry for one in built),
        extra_files=programs.write_reports(staging),
    )
    write_manifest(staging, manifest)
    return manifest, evidence


def _start_saliency(
    workers: Workers,
    checkpoint: SaliencyCheckpoint,
    targets: Sequence[Target],
    photos: Dataset,
    staging: Path,
) -> None:
    """One job for each program: they need nothing of the other network's, so they come first."""
    comparison = _comparison_photos()
    for group in groups_by_program(saliency_targets(targets)):
        job = partial(_built_saliency, checkpoint, group, photos, comparison, staging)
        workers.start(job, len(group) * _COST_OF_SALIENCY)


def _by_program(targets: Sequence[Target]) -> list[Target]:
    """Those of one program behind each other, the program of the first target first."""
    return [target for group in groups_by_program(targets) for target in group]


@dataclass(frozen=True)
class _Built:
    """What comes back from the process that built an artifact.

    Attributes:
        entry: For the manifest.
        answers: To the probes, for the report; of segmentation artifacts only.
    """

    entry: ArtifactEntry
    answers: list[Logits] = field(default_factory=list)


def _in_order(
    results: list[list[_Built]],
    targets: Sequence[Target],
    checkpoint: Checkpoint,
    saliency: SaliencyCheckpoint | None,
) -> list[_Built]:
    """As the manifest lists them, whichever was done first."""
    built = {one.entry.path: one for result in results for one in result}
    names = [target.file_name(checkpoint.config.name) for target in targets]
    if saliency is not None:
        beside = saliency_targets(targets)
        names += [target.file_name(saliency.config.name) for target in beside]
    return [built[name] for name in names]


def _built_saliency(
    checkpoint: SaliencyCheckpoint,
    targets: Sequence[Target],
    photos: Dataset,
    comparison: Sequence[ImageRecord],
    staging: Path,
    steps: Steps,
) -> list[_Built]:
    entries = build_saliency(checkpoint, targets, photos, comparison, staging, steps)
    return [_Built(entry) for entry in entries]


def _built(plan: ArtifactPlan, probes: Sequence[Probe], steps: Steps) -> list[_Built]:
    answers: list[Logits] = []

    def compare(session: Session, limit: float, executor: str) -> Agreement:
        watched = WatchedSession(session, probes, answers)
        return measure(watched, probes, images=PROBE_IMAGES, limit=limit, executor=executor)

    return [_Built(build_artifact(plan, compare, steps), answers)]


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


def _plan(
    target: Target, checkpoint: Checkpoint, program: "ExportedProgram", staging: Path
) -> ArtifactPlan:
    return ArtifactPlan(
        path=staging / target.file_name(checkpoint.config.name),
        program=program,
        metadata=_metadata(target, checkpoint),
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
        inputs=runtime_package(target.runtime).input_specs(checkpoint.config, target.layout),
        deployment_target=target.lowest_ios,
    )

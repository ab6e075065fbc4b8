"""The main job: load, fold, quantize, lower, execute, compare, write."""

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path

from sqsam_deploy._internal.progress import SilentSteps, Steps
from sqsam_deploy._internal.staging import staged_directory
from sqsam_deploy._internal.upstream.torch import lean_tracing
from sqsam_deploy._internal.workers import Workers, open_workers
from sqsam_deploy.artifact.manifest import MANIFEST_NAME, Manifest, write_manifest
from sqsam_deploy.artifact.provenance import git_revision
from sqsam_deploy.checkpoint import load_checkpoint
from sqsam_deploy.datasets import Dataset, ImageRecord, bundled_dataset, open_photos, subset
from sqsam_deploy.networks.base import Network
from sqsam_deploy.networks.saliency import SaliencyNetwork, load_saliency
from sqsam_deploy.networks.segmentation import SegmentationNetwork
from sqsam_deploy.pipeline.build import Builder, Built
from sqsam_deploy.pipeline.evidence import Evidence
from sqsam_deploy.pipeline.programs import Programs
from sqsam_deploy.pipeline.request import ExportRequest
from sqsam_deploy.pipeline.targets import Target, groups_by_program, targets_beside
from sqsam_deploy.runtimes.registry import dependencies_of, require_libraries, tool_versions

#: Photos every artifact is executed on before it is written.
PROBE_IMAGES = 4
#: What an artifact of the small second network costs, in the units of `Runtime.cost`.
_COST_BESIDE = 0.5

#: Explains what was built, in the directory of the artifacts, before it is put in place.
Explain = Callable[[Path, Manifest, Evidence], object]


def step_count(request: ExportRequest, explain: Explain | None = None) -> int:
    """Steps that `export` reports for a request."""
    steps = 2 + _build_steps(request.targets)
    if request.with_saliency:
        steps += _build_steps(targets_beside(request.targets))
    return steps + (explain is not None)


def _build_steps(targets: Sequence[Target]) -> int:
    return len(groups_by_program(targets)) + 2 * len(targets)


@contextmanager
def open_programs(request: ExportRequest, steps: Steps) -> Iterator[Programs]:
    """The programs of a request's network, none made yet; they are made inside the block.

    Args:
        request: Names the checkpoint and the calibration photos.
        steps: Receives one step.

    Raises:
        SqsamError: The checkpoint or the photos cannot be used.
    """
    steps.begin("loading and folding the weights")
    network = SegmentationNetwork(load_checkpoint(request.checkpoint))
    with lean_tracing():
        yield Programs(network, calibration_photos(request), request.seed)


def export(
    request: ExportRequest,
    steps: Steps | None = None,
    explain: Explain | None = None,
    notes: Mapping[str, object] | None = None,
    programs: Programs | None = None,
) -> Manifest:
    """Builds every target, executes it, and puts all of that in place at once.

    Args:
        request: What to build from what.
        steps: Receives each step as it begins.
        explain: Writes a report beside the artifacts; without it there is none.
        notes: What to add to `quantization.json`, by key.
        programs: From `open_programs`, inside its block; those that are made are not made again.

    Raises:
        GateError: An artifact agrees too little with the float network.
        MissingDependencyError: What a runtime's artifacts are made with is not installed.
        UsageError: A recipe, a runtime or a module to keep in float does not exist.
        SqsamError: The checkpoint, the calibration data or the output cannot be used.
    """
    request, steps = request.resolved(), steps or SilentSteps()
    for target in request.targets:
        require_libraries(target.deployed_on)
    with staged_directory(request.output, marker=MANIFEST_NAME) as staging:
        with open_programs(request, steps) if programs is None else nullcontext(programs) as made:
            manifest, evidence = _export_into(staging, request, steps, notes or {}, made)
        if explain is not None:
            steps.begin("explaining the artifacts")
            explain(staging, manifest, evidence)
        return manifest


def _export_into(
    staging: Path,
    request: ExportRequest,
    steps: Steps,
    notes: Mapping[str, object],
    programs: Programs,
) -> tuple[Manifest, Evidence]:
    network = programs.network
    assert isinstance(network, SegmentationNetwork)
    programs.forget_others([target.program for target in request.targets])
    beside = SaliencyNetwork(load_saliency()) if request.with_saliency else None
    photos, comparison_photos = calibration_photos(request), _comparison_photos()
    with open_workers(steps) as workers:
        programs.attend = workers.attend
        programs.check(target.program for target in request.targets)
        # What is imported here, the processes forked below have.
        for target in request.targets:
            with dependencies_of(target.deployed_on):
                target.deployed_on.load_compiler()
        if beside is not None:
            others = Programs(beside, photos, request.seed)
            builder = Builder(beside, others, beside.comparison(comparison_photos), staging)
            _start_beside(workers, builder, request.targets)
        steps.begin("running the float network on the comparison photos")
        comparison = network.comparison(comparison_photos)
        builder = Builder(network, programs, comparison, staging)
        _start(workers, builder, request.targets, steps)
        built = _in_order(workers.results(), request.targets, network, beside)
    evidence = Evidence(
        programs.folded.steps, tuple(programs.quantized.values()), comparison.probes
    )
    evidence.answers.update({one.entry.path: one.answers for one in built if one.answers})
    evidence.checks.update({one.entry.path: one.checks for one in built})
    manifest = Manifest(
        name=f"squeezesam-{network.name}",
        preset=network.name,
        recipe=request.recipe,
        weights=network.weights,
        saliency_weights=None if beside is None else beside.weights,
        calibration=programs.calibration,
        tools=tool_versions(),
        git_revision=git_revision(),
        artifacts=tuple(one.entry for one in built),
        extra_files=programs.write_reports(staging, notes),
    )
    write_manifest(staging, manifest)
    return manifest, evidence


def _start_beside(workers: Workers, builder: Builder, targets: Sequence[Target]) -> None:
    """One job for each program: they need nothing of the other network's, so they come first."""
    for group in groups_by_program(targets_beside(targets)):
        workers.start(partial(builder.build, group), len(group) * _COST_BESIDE)


def _start(workers: Workers, builder: Builder, targets: Sequence[Target], steps: Steps) -> None:
    """One job for each artifact, the program having been made here."""
    for group in groups_by_program(targets):
        builder.programs.make(group[0].program, steps)
        for target in group:
            workers.start(partial(builder.build, (target,)), target.deployed_on.cost)


def _in_order(
    results: list[list[Built]], targets: Sequence[Target], network: Network, beside: Network | None
) -> list[Built]:
    """As the manifest lists them, whichever was done first."""
    built = {one.entry.path: one for result in results for one in result}
    names = [target.file_name(network.name) for target in targets]
    if beside is not None:
        names += [target.file_name(beside.name) for target in targets_beside(targets)]
    return [built[name] for name in names]


def calibration_photos(request: ExportRequest) -> Dataset:
    """The photos that a request measures int8 ranges on.

    Raises:
        DataError: They cannot be opened.
    """
    path, size = request.calibration, request.calibration_size
    dataset = bundled_dataset("calibration") if path is None else open_photos(path)
    return dataset if size is None else subset(dataset, size, request.seed)


def _comparison_photos() -> list[ImageRecord]:
    return list(itertools.islice(bundled_dataset("sample"), PROBE_IMAGES))

"""From a directory of artifacts to a judged report."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from sqsam_deploy._internal.staging import require_writable
from sqsam_deploy.datasets import (
    Dataset,
    annotated,
    bundled_dataset,
    drawn,
    of_category,
    open_dataset,
    subset,
    with_lvis,
    with_single_object,
)
from sqsam_deploy.datasets.coco import category_names, every_image, is_lvis, read_coco_json
from sqsam_deploy.datasets.remote import url_of
from sqsam_deploy.errors import UsageError
from sqsam_deploy.evaluation.detections import coco_limit, lvis_limit, read_detections
from sqsam_deploy.evaluation.discovery import artifacts_alone, find_artifacts, find_peers
from sqsam_deploy.evaluation.gate import (
    MAX_DRIFT,
    MIN_AGREEMENT,
    SAMPLE_MAX_DRIFT,
    SAMPLE_MIN_AGREEMENT,
    judge_all,
    parse_limits,
)
from sqsam_deploy.evaluation.plan import (
    Artifact,
    EvaluationPlan,
    assign_references,
    own_references,
)
from sqsam_deploy.evaluation.protocols import (
    DetectorBoxes,
    GroundTruthBoxes,
    PromptProtocol,
    RandomPoints,
    SaliencyPoints,
)
from sqsam_deploy.evaluation.ray_cluster import RayCluster
from sqsam_deploy.evaluation.report import REPORT_NAME, ParityReport, write_report
from sqsam_deploy.evaluation.request import ParityRequest
from sqsam_deploy.evaluation.results import ObjectResult, read_results, write_results
from sqsam_deploy.evaluation.runner import Engine, Processes, Progress, Run, finish, run_plan
from sqsam_deploy.evaluation.summary import Settings, collect, summarize, tally_run
from sqsam_deploy.evaluation.until_decided import UntilDecided, judge_when_stopped
from sqsam_deploy.evaluation.whole_objects import WholeObjects
from sqsam_deploy.evaluation.worst_cases import WorstCase, worst_objects

RESULTS_NAME = "parity-objects.csv"


@dataclass(frozen=True)
class ParityOutcome:
    """The report, where it was written, and how the run went."""

    report: ParityReport
    files: tuple[Path, ...]
    run: Run


#: Called with the next stage and its number of images; returns what to call after each of them.
Stage = Callable[[str, int], Progress]

#: Writes files about a report and the objects that lost most into a directory, and returns them.
Explain = Callable[[Path, ParityReport, Iterator[WorstCase]], tuple[Path, ...]]


def evaluate(
    request: ParityRequest,
    stage: Stage = lambda what, total: lambda done: None,
    explain: Explain = lambda directory, report, worst: (),
) -> ParityOutcome:
    """Evaluates, judges, and writes `parity.json` and the results of every object.

    Args:
        request: What to evaluate.
        stage: For a progress bar.
        explain: Writes more files beside them; without it there are none.

    Raises:
        UsageError: The request contradicts itself.
        DataError: The dataset or the baseline cannot be used.
        ArtifactError: An artifact is damaged or failed.
        MissingDependencyError: An optional package is missing.
    """
    output = request.report_directory
    require_writable(output)
    if request.cache is not None:
        require_writable(request.cache)
    artifacts = _artifacts(request)
    dataset = _dataset(request)
    plan = EvaluationPlan(
        artifacts,
        tuple(_protocols(request)),
        clicking=request.clicking,
        threads=request.threads,
        device=request.device,
    )
    settings = _settings(request, plan, dataset)
    run = run_plan(
        plan,
        dataset,
        output,
        engine=_engine(request),
        cache=request.cache,
        enough=UntilDecided(plan, settings) if request.until_decided else lambda image: False,
        progress=stage("evaluating", len(dataset)),
    )
    dataset = replace(dataset, images=dataset.images[: len(run.images)])
    tally = tally_run(dataset, run.images)
    tally.report(dataset.name)
    tally.require_most(dataset.name)
    report = summarize(plan, dataset, run.images, settings)
    stage("writing the report", 0)
    objects = collect(plan, run.images).objects
    more = explain(output, report, worst_objects(plan, dataset, objects))
    files = (*more, *_write(output, report, run))
    finish(output)
    return ParityOutcome(report, files, run)


def _dataset(request: ParityRequest) -> Dataset:
    if request.dataset is None:
        dataset = bundled_dataset("sample")
    else:
        dataset = open_dataset(request.dataset, request.images)
    if request.lvis is not None:
        whole = every_image(dataset, _coco_file(request, "--lvis"), request.images)
        dataset = annotated(with_lvis(whole, open_dataset(request.lvis, request.images)))
    if request.detections is not None:
        if url_of(_coco_file(request, "--detections")):
            raise UsageError("--detections needs the data set's file on this machine: download it")
        dataset = every_image(dataset, _coco_file(request, "--detections"), request.images)
    if request.category is not None:
        dataset = of_category(dataset, request.category)
    if request.single_object:
        dataset = with_single_object(dataset)
    if request.count is not None:
        dataset = subset(dataset, request.count, request.seed)
    return drawn(dataset, request.seed) if request.until_decided else dataset


def _engine(request: ParityRequest) -> Engine:
    if request.engine == "ray":
        return RayCluster(request.address, request.jobs)
    return Processes(request.processes)


def _coco_file(request: ParityRequest, option: str) -> Path:
    if request.dataset is None or request.dataset.suffix != ".json":
        raise UsageError(f"{option} belongs to a COCO or LVIS file: name it with --dataset")
    return request.dataset


def _artifacts(request: ParityRequest) -> tuple[Artifact, ...]:
    directory, peers = request.directory, find_peers(request.peer)
    if request.score:
        own = artifacts_alone(directory, request.only) if directory else ()
        return (*own, *own_references(peers))
    own = find_artifacts(directory, request.only, request.reference) if directory else ()
    # Each stands behind what it is compared with.
    artifacts = (*own, *assign_references(peers, None))
    if all(artifact.is_reference for artifact in artifacts) and request.baseline is None:
        raise UsageError(
            f"there is nothing to compare with {artifacts[0].name}: "
            "add artifacts, or a --baseline, or only --score it"
        )
    return artifacts


def _protocols(request: ParityRequest) -> Iterator[PromptProtocol]:
    if request.box:
        yield GroundTruthBoxes()
    if request.clicks:
        yield RandomPoints(request.clicks, request.seed, request.jitter)
    if request.detections is not None:
        content = read_coco_json(_coco_file(request, "--detections"))
        limit = lvis_limit if is_lvis(content) else coco_limit
        yield DetectorBoxes(read_detections(request.detections, category_names(content), limit))
    if request.saliency is not None:
        yield SaliencyPoints(request.saliency)
    if request.whole_objects:
        yield WholeObjects(request.seed)


def _settings(request: ParityRequest, plan: EvaluationPlan, dataset: Dataset) -> Settings:
    sample = request.dataset is None
    drift = SAMPLE_MAX_DRIFT if sample else MAX_DRIFT
    agreement = request.min_agreement
    if agreement is None:
        agreement = SAMPLE_MIN_AGREEMENT if sample else MIN_AGREEMENT
    if not 0 <= agreement < 1:
        raise UsageError(f"--min-agreement takes an IoU from 0 to under 1, got {agreement}")
    return Settings(
        limits=parse_limits(
            drift if request.max_drift is None else request.max_drift, plan.kinds, drift
        ),
        min_agreement=agreement,
        seed=request.seed,
        baseline=_baseline(request),
        annotations=request.dataset if request.detections else None,
        judge=judge_when_stopped if request.until_decided else judge_all,
        available=len(dataset) if request.until_decided else None,
    )


def _baseline(request: ParityRequest) -> tuple[ObjectResult, ...] | None:
    if request.baseline is None:
        return None
    path = request.baseline
    return tuple(read_results(path / RESULTS_NAME if path.is_dir() else path))


def _write(output: Path, report: ParityReport, run: Run) -> tuple[Path, ...]:
    """`parity.json` is written last: its presence says that the run is complete."""
    rows = (row for image in run.images for row in image.objects)
    write_results(output / RESULTS_NAME, rows)
    write_report(output / REPORT_NAME, report)
    return (output / RESULTS_NAME, output / REPORT_NAME)

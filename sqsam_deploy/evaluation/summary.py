"""From per-object results to a report."""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from sqsam_deploy.datasets import Dataset
from sqsam_deploy.datasets.problems import Problem, Tally
from sqsam_deploy.errors import DataError
from sqsam_deploy.evaluation.bounds import (
    CONFIDENCE,
    LARGEST_LOSS,
    interval,
    photo_means,
    share_bound,
)
from sqsam_deploy.evaluation.drift import POINTS, Pair, group_drifts, means_of, pair_results
from sqsam_deploy.evaluation.evaluator import ImageResult
from sqsam_deploy.evaluation.gate import (
    MIN_AGREEMENT,
    DriftLimits,
    Loss,
    Verdict,
    judge_all,
    overall,
)
from sqsam_deploy.evaluation.metrics import SIZE_CLASSES, size_class
from sqsam_deploy.evaluation.noc import NOC_TARGETS, number_of_clicks
from sqsam_deploy.evaluation.plan import Artifact, EvaluationPlan
from sqsam_deploy.evaluation.precision import average_precision
from sqsam_deploy.evaluation.report import (
    SCHEMA,
    ArtifactReport,
    AveragePrecision,
    BaselineResult,
    BrokenImage,
    Clicking,
    DatasetReport,
    DriftGroup,
    DriftInterval,
    Estimate,
    GateResult,
    LargeLosses,
    MaskAgreement,
    MeanIou,
    Measure,
    ParityReport,
)
from sqsam_deploy.evaluation.results import ClickingResult, ObjectResult

#: An object that lost more mIoU points than these is counted apart.
LARGE_LOSS = 10.0

_NO_DRIFT = DriftInterval(mean=0.0, low=0.0, high=0.0)
_PARTS: tuple[tuple[Measure, Callable[[Pair], float]], ...] = (
    ("drift", lambda pair: pair.drift),
    ("mask drift", lambda pair: pair.mask_drift),
    ("choice drift", lambda pair: pair.choice_drift),
)


@dataclass(frozen=True)
class Settings:
    """The settings that a report depends on besides the results.

    Attributes:
        limits: Of the drift, in mIoU points.
        min_agreement: The least mean IoU of an artifact's masks with its reference's.
        seed: Of the bounds' random weights.
        baseline: Per-object results of an earlier run, or None.
        annotations: COCO or LVIS file for AP, or None without a detector.
        available: Images there are, where the run stops as soon as its gate is decided; else None.
        judge: Verdicts of all losses, from the seed; another where a run may stop at any photo.
    """

    limits: DriftLimits
    seed: int
    min_agreement: float = MIN_AGREEMENT
    baseline: tuple[ObjectResult, ...] | None = None
    annotations: Path | None = None
    available: int | None = None
    judge: Callable[[Sequence[Loss], int], list[Verdict]] = judge_all


@dataclass(frozen=True)
class Gate:
    """One thing to judge."""

    artifact: str
    measure: Measure
    kind: str
    loss: Loss


@dataclass(frozen=True)
class Results:
    """Results of all usable images, in the dataset's order, by artifact name."""

    images: tuple[ImageResult, ...]
    objects: Mapping[str, list[ObjectResult]]
    clicking: Mapping[str, list[ClickingResult]]


def collect(plan: EvaluationPlan, images: Sequence[ImageResult]) -> Results:
    """Sorts the results of images by artifact.

    Raises:
        DataError: No image could be used, or no object was asked about.
    """
    usable = tuple(image for image in images if image.broken is None)
    names = [artifact.name for artifact in plan.artifacts]
    objects: dict[str, list[ObjectResult]] = {name: [] for name in names}
    clicking: dict[str, list[ClickingResult]] = {name: [] for name in names}
    for image in usable:
        for row in image.objects:
            objects[row.artifact].append(row)
        for curve in image.clicking:
            clicking[curve.artifact].append(curve)
    if not usable:
        raise DataError(f"no image could be used; the first one: {images[0].broken}")
    if not objects[names[0]]:
        raise DataError("no prompt of these kinds means an object of the dataset")
    return Results(usable, objects, clicking)


def summarize(
    plan: EvaluationPlan, dataset: Dataset, images: Sequence[ImageResult], settings: Settings
) -> ParityReport:
    """The report of a run.

    Args:
        plan: What was evaluated.
        dataset: On what.
        images: One result an image, in the dataset's order.
        settings: Limit, seed, baseline.

    Raises:
        DataError: No image could be used, or the baseline cannot be compared.
    """
    results = collect(plan, images)
    gates = list(gates_of(plan, results, settings))
    verdicts = settings.judge([gate.loss for gate in gates], settings.seed)
    judged = defaultdict(list)
    for gate, verdict in zip(gates, verdicts, strict=True):
        judged[gate.artifact].append(_gate_result(gate, verdict))
    # Where nothing was compared, nothing passed.
    outcome = overall([verdict.outcome for verdict in verdicts]) if gates else "undecided"
    return ParityReport(
        schema=SCHEMA,
        passed=outcome == "passed",
        outcome=outcome,
        max_drift={kind: settings.limits.of(kind) for kind in plan.kinds},
        min_agreement=settings.min_agreement,
        confidence=CONFIDENCE,
        seed=settings.seed,
        dataset=_dataset_report(dataset, results, images, settings),
        prompts=plan.kinds,
        artifacts={
            a.name: _artifact_report(a, plan, results, settings, tuple(judged[a.name]))
            for a in plan.artifacts
        },
    )


def gates_of(plan: EvaluationPlan, results: Results, settings: Settings) -> Iterator[Gate]:
    """Everything to judge about results, artifact by artifact.

    Raises:
        DataError: The baseline cannot be compared.
    """
    for artifact in plan.artifacts:
        yield from _gates(artifact, plan, results, settings)


def _gates(
    artifact: Artifact, plan: EvaluationPlan, results: Results, settings: Settings
) -> Iterator[Gate]:
    """Every prompt kind: the drift, its two parts, the masks, and the drift since the baseline."""
    own = results.objects[artifact.name]
    if not artifact.is_reference:
        for kind, pairs in _by_kind(pair_results(results.objects[artifact.reference], own), plan):
            limit = settings.limits.of(kind)
            for measure, value in _PARTS:
                means = means_of(pairs, [value(pair) for pair in pairs])
                yield Gate(artifact.name, measure, kind, Loss(limit, LARGEST_LOSS, means))
            means = means_of(pairs, [1 - (pair.after.agreement or 0.0) for pair in pairs])
            loss = Loss(1 - settings.min_agreement, LARGEST_LOSS / POINTS, means, least=0.0)
            yield Gate(artifact.name, "disagreement", kind, loss)
    if settings.baseline is not None:
        for kind, pairs in _by_kind(_baseline_pairs(artifact, own, settings.baseline), plan):
            means = means_of(pairs, [pair.drift for pair in pairs])
            loss = Loss(settings.limits.of(kind), LARGEST_LOSS, means)
            yield Gate(artifact.name, "drift since baseline", kind, loss)


def _by_kind(pairs: Sequence[Pair], plan: EvaluationPlan) -> Iterator[tuple[str, list[Pair]]]:
    for kind in plan.kinds:
        of_kind = [pair for pair in pairs if pair.after.kind == kind]
        if of_kind:
            yield kind, of_kind


def _baseline_pairs(
    artifact: Artifact, own: Sequence[ObjectResult], baseline: Sequence[ObjectResult]
) -> list[Pair]:
    """Empty for a reference that the earlier run did not need, or had under another name."""
    earlier = [row for row in baseline if row.artifact == artifact.name]
    if not earlier and not artifact.is_reference:
        raise DataError(
            f"the baseline has no results of {artifact.name}: leave it out with --only, or "
            "evaluate it in the earlier run too"
        )
    return pair_results(earlier, own) if earlier else []


def _gate_result(gate: Gate, verdict: Verdict) -> GateResult:
    return GateResult(
        measure=gate.measure,
        kind=gate.kind,
        limit=gate.loss.limit,
        estimate=Estimate.model_validate(asdict(verdict.interval)),
        bound=verdict.bound,
        outcome=verdict.outcome,
        images=verdict.images,
        images_needed=verdict.images_needed,
        images_range=verdict.images_range,
    )


def tally_run(dataset: Dataset, images: Sequence[ImageResult]) -> Tally:
    """The data that a run used and left out.

    Args:
        dataset: On what.
        images: One result an image, in the dataset's order.
    """
    tally = Tally()
    tally.add(dataset.problems)
    for record, image in zip(dataset, images, strict=True):
        if image.broken is not None:
            tally.add([Problem("photo", "cannot be used", image.broken)])
            continue
        tally.add(image.problems)
        # The reader's own losses are not among the record's objects.
        lost = _lost(image.problems) - _lost(record.problems)
        tally.photos, tally.objects = tally.photos + 1, tally.objects + len(record.objects) - lost
    return tally


def _lost(problems: Sequence[Problem]) -> int:
    return sum(problem.cost == "object" for problem in problems)


def _dataset_report(
    dataset: Dataset, results: Results, images: Sequence[ImageResult], settings: Settings
) -> DatasetReport:
    used = {image.image for image in results.images}
    categories = {row.category for rows in results.objects.values() for row in rows}
    return DatasetReport(
        name=dataset.name,
        images=len(used),
        objects=tally_run(dataset, images).objects,
        broken=tuple(
            BrokenImage(image=image.image, reason=image.broken)
            for image in images
            if image.broken is not None
        ),
        category=categories.pop() if len(categories) == 1 else None,
        available=settings.available,
    )


def _artifact_report(
    artifact: Artifact,
    plan: EvaluationPlan,
    results: Results,
    settings: Settings,
    gates: tuple[GateResult, ...],
) -> ArtifactReport:
    own = results.objects[artifact.name]
    pairs = pair_results(results.objects[artifact.reference], own)
    groups = tuple(
        DriftGroup.model_validate(asdict(group)) for group in group_drifts(pairs, plan.kinds)
    )
    return ArtifactReport(
        sha256=artifact.sha256,
        weights_sha256=artifact.metadata.weights_sha256,
        runtime=artifact.metadata.runtime,
        precision=artifact.metadata.precision,
        preset=artifact.metadata.preset,
        reference=artifact.reference,
        passed=all(gate.outcome == "passed" for gate in gates),
        gates=gates,
        drift=_NO_DRIFT if artifact.is_reference else groups[0].drift,
        large_losses=None if artifact.is_reference else _large_losses(pairs),
        miou=_mean_ious(own, plan.kinds),
        groups=() if artifact.is_reference else groups,
        predicted_iou_error=POINTS * float(np.mean([abs(r.predicted_iou - r.iou) for r in own])),
        agreement=_agreement(artifact.reference, own, results),
        sibling_agreement=_sibling_agreement(artifact, own, results),
        average_precision=_average_precision(artifact, results, settings),
        clicking=_clicking(artifact, results),
        baseline=_against_baseline(artifact, own, settings),
    )


def _large_losses(pairs: Sequence[Pair]) -> LargeLosses:
    objects = {(pair.after.image, pair.after.object) for pair in pairs}
    lost = {(p.after.image, p.after.object) for p in pairs if p.drift > LARGE_LOSS}
    images, images_lost = len({image for image, _ in objects}), len({image for image, _ in lost})
    return LargeLosses(
        points=LARGE_LOSS,
        objects=len(objects),
        objects_lost=len(lost),
        objects_bound=share_bound(len(lost), len(objects)),
        images=images,
        images_lost=images_lost,
        images_bound=share_bound(images_lost, images),
    )


def _against_baseline(
    artifact: Artifact, own: Sequence[ObjectResult], settings: Settings
) -> BaselineResult | None:
    if settings.baseline is None:
        return None
    pairs = _baseline_pairs(artifact, own, settings.baseline)
    if not pairs:
        return None
    drift = interval(means_of(pairs, [pair.drift for pair in pairs]))
    return BaselineResult(
        drift=DriftInterval.model_validate(asdict(drift)),
        objects=len({(pair.after.image, pair.after.object) for pair in pairs}),
        images=len({pair.after.image for pair in pairs}),
    )


def _mean_ious(own: Sequence[ObjectResult], kinds: Sequence[str]) -> tuple[MeanIou, ...]:
    rows = []
    for kind in kinds:
        of_kind = [row for row in own if row.kind == kind]
        if not of_kind:
            continue
        by_size = {
            size: _mean([row.iou for row in of_kind if size_class(row.area) == size])
            for size in SIZE_CLASSES
        }
        overall_miou = POINTS * float(np.mean([row.iou for row in of_kind]))
        rows.append(MeanIou(kind=kind, objects=len(of_kind), overall=overall_miou, **by_size))
    return tuple(rows)


def _mean(ious: Sequence[float]) -> float | None:
    return POINTS * float(np.mean(ious)) if ious else None


def _agreement(other: str, own: Sequence[ObjectResult], results: Results) -> MaskAgreement | None:
    ious = [row.agreement for row in own if row.agreement is not None]
    return _mask_agreement(other, ious, pair_results(results.objects[other], own))


def _sibling_agreement(
    artifact: Artifact, own: Sequence[ObjectResult], results: Results
) -> MaskAgreement | None:
    ious = [row.sibling_agreement for row in own if row.sibling_agreement is not None]
    pairs = pair_results(results.objects[artifact.sibling], own)
    return _mask_agreement(artifact.sibling, ious, pairs)


def _mask_agreement(
    other: str, ious: Sequence[float], pairs: Sequence[Pair]
) -> MaskAgreement | None:
    if not ious:
        return None
    found = interval(means_of(pairs, ious))
    changed = [pair.before.best_mask != pair.after.best_mask for pair in pairs]
    shift = [abs(pair.before.predicted_iou - pair.after.predicted_iou) for pair in pairs]
    return MaskAgreement(
        other=other,
        mean=found.mean,
        low=found.low,
        high=found.high,
        low_percentile=float(np.percentile(ious, 1)),
        best_mask_changed=float(np.mean(changed)),
        predicted_iou_shift=POINTS * float(np.mean(shift)),
    )


def _average_precision(
    artifact: Artifact, results: Results, settings: Settings
) -> AveragePrecision | None:
    if settings.annotations is None:
        return None
    segments = [
        s for image in results.images for s in image.segments if s.artifact == artifact.name
    ]
    return average_precision(settings.annotations, segments, [i.image for i in results.images])


def _clicking(artifact: Artifact, results: Results) -> tuple[Clicking, ...]:
    own, reference = results.clicking[artifact.name], results.clicking[artifact.reference]
    return tuple(_clicks_to(t, own, reference, artifact) for t in NOC_TARGETS if own)


def _clicks_to(
    target: float,
    own: Sequence[ClickingResult],
    reference: Sequence[ClickingResult],
    artifact: Artifact,
) -> Clicking:
    clicks = np.array([number_of_clicks(row.ious, target) for row in own], np.float64)
    before = np.array([number_of_clicks(row.ious, target) for row in reference], np.float64)
    added = None
    if not artifact.is_reference:
        found = interval(photo_means((clicks - before).tolist(), [row.image for row in own]))
        added = DriftInterval.model_validate(asdict(found))
    return Clicking(
        target=round(POINTS * target),
        clicks=float(clicks.mean()),
        failed=float(np.mean([max(row.ious, default=0.0) < target for row in own])),
        added=added,
    )

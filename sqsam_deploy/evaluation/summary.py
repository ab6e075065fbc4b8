"""From per-object results to a report."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from sqsam_deploy.datasets import Dataset
from sqsam_deploy.datasets.problems import Problem, Tally
from sqsam_deploy.errors import DataError
from sqsam_deploy.evaluation.bootstrap import (
    CONFIDENCE,
    Interval,
    bootstrap_intervals,
    sum_by_image,
)
from sqsam_deploy.evaluation.drift import POINTS, Pair, group_drifts, pair_results
from sqsam_deploy.evaluation.evaluator import ImageResult
from sqsam_deploy.evaluation.gate import judge
from sqsam_deploy.evaluation.metrics import SIZE_CLASSES, size_class
from sqsam_deploy.evaluation.noc import NOC_TARGETS, number_of_clicks
from sqsam_deploy.evaluation.plan import Artifact, Plan
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
    GateResult,
    MaskAgreement,
    MeanIou,
    ParityReport,
    gates_of,
    overall,
)
from sqsam_deploy.evaluation.request import MIN_AGREEMENT
from sqsam_deploy.evaluation.results import ClickingResult, ObjectResult

_NO_DRIFT = DriftInterval(mean=0.0, low=0.0, high=0.0)


@dataclass(frozen=True)
class Settings:
    """What a report depends on besides the results.

    Attributes:
        max_drift: The gate's limit in mIoU points.
        min_agreement: The least mean IoU of an artifact's masks with its reference's.
        seed: Of the bootstrap.
        baseline: Per-object results of an earlier run, or None.
        annotations: COCO or LVIS file for AP, or None without a detector.
    """

    max_drift: float
    seed: int
    min_agreement: float = MIN_AGREEMENT
    baseline: tuple[ObjectResult, ...] | None = None
    annotations: Path | None = None


@dataclass(frozen=True)
class Results:
    """Results of all usable images, in the dataset's order, by artifact name."""

    images: tuple[ImageResult, ...]
    objects: Mapping[str, list[ObjectResult]]
    clicking: Mapping[str, list[ClickingResult]]


def collect(plan: Plan, images: Sequence[ImageResult]) -> Results:
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
    plan: Plan, dataset: Dataset, images: Sequence[ImageResult], settings: Settings
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
    artifacts = {a.name: _artifact_report(a, plan, results, settings) for a in plan.artifacts}
    gates = [gate for report in artifacts.values() for gate in gates_of(report)]
    outcome = overall([gate.outcome for gate in gates])
    return ParityReport(
        schema=SCHEMA,
        passed=outcome == "passed",
        outcome=outcome,
        max_drift=settings.max_drift,
        min_agreement=settings.min_agreement,
        confidence=CONFIDENCE,
        seed=settings.seed,
        dataset=_dataset_report(dataset, results, images),
        prompts=plan.kinds,
        artifacts=artifacts,
    )


def tally_run(dataset: Dataset, images: Sequence[ImageResult]) -> Tally:
    """What a run used, and what it left out.

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
    dataset: Dataset, results: Results, images: Sequence[ImageResult]
) -> DatasetReport:
    used = {image.image for image in results.images}
    return DatasetReport(
        name=dataset.name,
        images=len(used),
        objects=tally_run(dataset, images).objects,
        broken=tuple(
            BrokenImage(image=image.image, reason=image.broken)
            for image in images
            if image.broken is not None
        ),
    )


def _artifact_report(
    artifact: Artifact, plan: Plan, results: Results, settings: Settings
) -> ArtifactReport:
    own = results.objects[artifact.name]
    groups = _groups(results.objects[artifact.reference], own, plan, settings.seed)
    gate = None if artifact.is_reference else _gate(groups[0], own, settings.max_drift)
    baseline = _against_baseline(artifact, own, plan, settings)
    agreement = _agreement(artifact.reference, own, results, settings.seed)
    agreement_gate = _agreement_gate(agreement, own, settings.min_agreement)
    gates = [gate, agreement_gate, baseline.gate if baseline else None]
    return ArtifactReport(
        sha256=artifact.sha256,
        weights_sha256=artifact.metadata.weights_sha256,
        runtime=artifact.metadata.runtime,
        precision=artifact.metadata.precision,
        preset=artifact.metadata.preset,
        reference=artifact.reference,
        passed=all(entry is None or entry.outcome == "passed" for entry in gates),
        gate=gate,
        drift=_NO_DRIFT if artifact.is_reference else groups[0].drift,
        miou=_mean_ious(own, plan.kinds),
        groups=() if artifact.is_reference else groups,
        predicted_iou_error=POINTS * float(np.mean([abs(r.predicted_iou - r.iou) for r in own])),
        agreement=agreement,
        agreement_gate=agreement_gate,
        sibling_agreement=_sibling_agreement(artifact, own, results, settings.seed),
        average_precision=_average_precision(artifact, results, settings),
        clicking=_clicking(artifact, results, settings.seed),
        baseline=baseline,
    )


def _groups(
    before: Sequence[ObjectResult], own: Sequence[ObjectResult], plan: Plan, seed: int
) -> tuple[DriftGroup, ...]:
    return tuple(
        DriftGroup.model_validate(asdict(group))
        for group in group_drifts(pair_results(before, own), plan.kinds, seed)
    )


def _gate(group: DriftGroup, own: Sequence[ObjectResult], limit: float) -> GateResult:
    drift = Interval(group.drift.mean, group.drift.low, group.drift.high)
    images = len({row.image for row in own})
    verdict = judge(drift, limit, objects=group.objects, images=images)
    return GateResult(outcome=verdict.outcome, limit=limit, objects_needed=verdict.objects_needed)


def _agreement_gate(
    agreement: MaskAgreement | None, own: Sequence[ObjectResult], least: float
) -> GateResult | None:
    """The drift's rule, on what is missing to full agreement."""
    if agreement is None:
        return None
    loss = Interval(1 - agreement.mean, 1 - agreement.high, 1 - agreement.low)
    objects = len({(row.image, row.object) for row in own})
    images = len({row.image for row in own})
    verdict = judge(loss, 1 - least, objects=objects, images=images)
    return GateResult(outcome=verdict.outcome, limit=least, objects_needed=verdict.objects_needed)


def _against_baseline(
    artifact: Artifact, own: Sequence[ObjectResult], plan: Plan, settings: Settings
) -> BaselineResult | None:
    if settings.baseline is None:
        return None
    earlier = [row for row in settings.baseline if row.artifact == artifact.name]
    if not earlier:
        return None
    group = _groups(earlier, own, plan, settings.seed)[0]
    gate = _gate(group, own, settings.max_drift)
    return BaselineResult(drift=group.drift, objects=group.objects, gate=gate)


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


def _agreement(
    other: str, own: Sequence[ObjectResult], results: Results, seed: int
) -> MaskAgreement | None:
    ious = [row.agreement for row in own if row.agreement is not None]
    return _mask_agreement(other, ious, pair_results(results.objects[other], own), seed)


def _sibling_agreement(
    artifact: Artifact, own: Sequence[ObjectResult], results: Results, seed: int
) -> MaskAgreement | None:
    ious = [row.sibling_agreement for row in own if row.sibling_agreement is not None]
    pairs = pair_results(results.objects[artifact.sibling], own)
    return _mask_agreement(artifact.sibling, ious, pairs, seed)


def _mask_agreement(
    other: str, ious: Sequence[float], pairs: Sequence[Pair], seed: int
) -> MaskAgreement | None:
    if not ious:
        return None
    interval = _interval_of(np.array(ious), [pair.after.image for pair in pairs], seed)
    changed = [pair.before.best_mask != pair.after.best_mask for pair in pairs]
    shift = [abs(pair.before.predicted_iou - pair.after.predicted_iou) for pair in pairs]
    return MaskAgreement(
        other=other,
        mean=interval.mean,
        low=interval.low,
        high=interval.high,
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


def _clicking(artifact: Artifact, results: Results, seed: int) -> tuple[Clicking, ...]:
    own, reference = results.clicking[artifact.name], results.clicking[artifact.reference]
    return tuple(_clicks_to(t, own, reference, artifact, seed) for t in NOC_TARGETS if own)


def _clicks_to(
    target: float,
    own: Sequence[ClickingResult],
    reference: Sequence[ClickingResult],
    artifact: Artifact,
    seed: int,
) -> Clicking:
    clicks = np.array([number_of_clicks(row.ious, target) for row in own], np.float64)
    before = np.array([number_of_clicks(row.ious, target) for row in reference], np.float64)
    added = None
    if not artifact.is_reference:
        interval = _interval_of(clicks - before, [row.image for row in own], seed)
        added = DriftInterval(mean=interval.mean, low=interval.low, high=interval.high)
    return Clicking(
        target=round(POINTS * target),
        clicks=float(clicks.mean()),
        failed=float(np.mean([max(row.ious, default=0.0) < target for row in own])),
        added=added,
    )


def _interval_of(
    values: np.ndarray[tuple[int], np.dtype[np.float64]], images: Sequence[str], seed: int
) -> Interval:
    order = {image: index for index, image in enumerate(dict.fromkeys(images))}
    indices = np.array([order[image] for image in images])
    everything = [np.ones(len(values), bool)]
    return bootstrap_intervals(sum_by_image(indices, everything, values), seed=seed)[0]

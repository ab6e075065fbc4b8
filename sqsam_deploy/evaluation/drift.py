"""Paired differences of two sets of results, and how sure they are.

Drift is first minus second in mIoU points: positive when quality was lost. Every pair is one
object asked with one prompt.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.errors import DataError
from sqsam_deploy.evaluation.bootstrap import Interval, bootstrap_intervals, sum_by_image
from sqsam_deploy.evaluation.metrics import SIZE_CLASSES, size_class
from sqsam_deploy.evaluation.results import ObjectResult

#: IoU as the paper prints it.
POINTS = 100.0


@dataclass(frozen=True)
class Pair:
    """One object and prompt in both sets."""

    before: ObjectResult
    after: ObjectResult

    @property
    def drift(self) -> float:
        """In mIoU points."""
        return POINTS * (self.before.iou - self.after.iou)


@dataclass(frozen=True)
class Group:
    """Pairs that belong together, and their drift.

    Attributes:
        kind: Prompt kind, or None for all.
        size: COCO's size class, or None for all.
        objects: Different objects among the pairs.
        pairs: Objects times prompt kinds.
        miou_before: Mean IoU of the first set, in points.
        miou_after: Mean IoU of the second set, in points.
        drift: Mean difference in points with its confidence interval.
    """

    kind: str | None
    size: str | None
    objects: int
    pairs: int
    miou_before: float
    miou_after: float
    drift: Interval


def pair_results(before: Iterable[ObjectResult], after: Iterable[ObjectResult]) -> list[Pair]:
    """Pairs results of the same object and prompt kind, in the order of `after`.

    Objects that only one of the two has are left out.

    Raises:
        DataError: Nothing is in both, or a prompt differs: then the runs had another seed or
            another dataset, and their difference would not be drift.
    """
    known = {(r.image, r.object, r.kind): r for r in before}
    pairs = [
        Pair(known[key], result)
        for result in after
        if (key := (result.image, result.object, result.kind)) in known
    ]
    if not pairs:
        raise DataError("the two runs have no object in common")
    for pair in pairs:
        if pair.before.prompt != pair.after.prompt:
            raise DataError(
                f"object {pair.after.object} was asked with another {pair.after.kind} prompt: "
                "compare runs with the same --seed and --jitter on the same dataset"
            )
    return pairs


def group_drifts(pairs: Sequence[Pair], kinds: Sequence[str], seed: int) -> list[Group]:
    """Drift overall, by prompt kind, by size, and by both; groups without objects left out.

    Args:
        pairs: From `pair_results`.
        kinds: Prompt kinds in the order to report.
        seed: Of the bootstrap.

    Returns:
        The overall group first.
    """
    present = [kind for kind in kinds if any(pair.after.kind == kind for pair in pairs)]
    labels = [(kind, size) for kind in (None, *present) for size in (None, *SIZE_CLASSES)]
    of_kind = np.array([pair.after.kind for pair in pairs])
    of_size = np.array([size_class(pair.after.area) for pair in pairs])
    chosen = [_selection(of_kind, of_size, kind, size) for kind, size in labels]
    filled = [(label, mask) for label, mask in zip(labels, chosen, strict=True) if mask.any()]
    masks = [mask for _, mask in filled]
    drifts = _intervals(pairs, masks, lambda pair: pair.drift, seed)
    return [
        _group(label, mask, pairs, drift)
        for (label, mask), drift in zip(filled, drifts, strict=True)
    ]


def _intervals(
    pairs: Sequence[Pair],
    masks: list[NDArray[np.bool_]],
    value: Callable[[Pair], float],
    seed: int,
) -> list[Interval]:
    order = {
        image: index for index, image in enumerate(dict.fromkeys(p.after.image for p in pairs))
    }
    images = np.array([order[pair.after.image] for pair in pairs])
    values = np.array([value(pair) for pair in pairs])
    return bootstrap_intervals(sum_by_image(images, masks, values), seed=seed)


def _selection(
    of_kind: NDArray[np.str_], of_size: NDArray[np.str_], kind: str | None, size: str | None
) -> NDArray[np.bool_]:
    chosen = np.ones(len(of_kind), bool)
    if kind is not None:
        chosen &= of_kind == kind
    if size is not None:
        chosen &= of_size == size
    return chosen


def _group(
    label: tuple[str | None, str | None],
    mask: NDArray[np.bool_],
    pairs: Sequence[Pair],
    drift: Interval,
) -> Group:
    members = [pairs[index] for index in np.flatnonzero(mask).tolist()]
    return Group(
        kind=label[0],
        size=label[1],
        objects=len({(pair.after.image, pair.after.object) for pair in members}),
        pairs=len(members),
        miou_before=POINTS * float(np.mean([pair.before.iou for pair in members])),
        miou_after=POINTS * float(np.mean([pair.after.iou for pair in members])),
        drift=drift,
    )

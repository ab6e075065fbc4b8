"""Paired differences of two sets of results, and how sure they are.

Drift is first minus second in mIoU points: positive when quality was lost. Every pair is one
object asked with one prompt. A mean drift is a mean over photos (`bounds`).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.errors import DataError
from sqsam_deploy.evaluation.bounds import Interval, interval, photo_means
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

    @property
    def mask_drift(self) -> float:
        """The part of the drift that comes of a changed mask: of the one the first ranks first."""
        return POINTS * (self.before.iou - self.after.same_mask_iou)

    @property
    def choice_drift(self) -> float:
        """The other part, of ranking another mask first."""
        return POINTS * (self.after.same_mask_iou - self.after.iou)


@dataclass(frozen=True)
class Group:
    """Pairs that belong together, and their drift.

    Attributes:
        kind: Prompt kind, or None for all.
        size: COCO's size class, or None for all.
        objects: Different objects among the pairs.
        pairs: Objects times prompt kinds.
        miou_before: Mean IoU over the pairs of the first set, in points.
        miou_after: The same of the second set.
        drift: Mean difference over photos in points, with its confidence interval.
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

    Raises:
        DataError: One of the two lacks an object or a prompt kind, or a prompt, photo or mask
            differs: the difference would not be drift.
    """
    known = {(r.image, r.object, r.kind): r for r in before}
    pairs = []
    for result in after:
        found = known.pop((result.image, result.object, result.kind), None)
        if found is None:
            raise DataError(_unpaired(result, "only in the second"))
        _require_same_question(found, result)
        pairs.append(Pair(found, result))
    for left in known.values():
        raise DataError(_unpaired(left, "only in the first"))
    return pairs


def _unpaired(result: ObjectResult, where: str) -> str:
    return (
        f"the runs did not ask the same: object {result.object} with the prompt {result.kind} is "
        f"{where}; use the same --dataset, --prompts, --count and --seed"
    )


def _require_same_question(before: ObjectResult, after: ObjectResult) -> None:
    if before.prompt != after.prompt:
        raise DataError(
            f"object {after.object} was asked with another {after.kind} prompt: "
            "compare runs with the same --seed and --jitter on the same dataset"
        )
    if before.truth != after.truth:
        raise DataError(
            f"the photo or the mask of object {after.object} changed between the runs: "
            "evaluate both on the same dataset"
        )


def means_of(pairs: Sequence[Pair], values: Sequence[float]) -> NDArray[np.float64]:
    """Means by photo of one value a pair."""
    return photo_means(values, [pair.after.image for pair in pairs])


def group_drifts(pairs: Sequence[Pair], kinds: Sequence[str]) -> list[Group]:
    """Drift overall, by prompt kind, by size, and by both; groups without objects left out.

    Args:
        pairs: From `pair_results`.
        kinds: Prompt kinds in the order to report.

    Returns:
        The overall group first.
    """
    return [
        _group(kind, size, members)
        for kind in (None, *kinds)
        for size in (None, *SIZE_CLASSES)
        if (members := _members(pairs, kind, size))
    ]


def _members(pairs: Sequence[Pair], kind: str | None, size: str | None) -> list[Pair]:
    return [
        pair
        for pair in pairs
        if kind in (None, pair.after.kind) and size in (None, size_class(pair.after.area))
    ]


def _group(kind: str | None, size: str | None, members: Sequence[Pair]) -> Group:
    return Group(
        kind=kind,
        size=size,
        objects=len({(pair.after.image, pair.after.object) for pair in members}),
        pairs=len(members),
        miou_before=POINTS * float(np.mean([pair.before.iou for pair in members])),
        miou_after=POINTS * float(np.mean([pair.after.iou for pair in members])),
        drift=interval(means_of(members, [pair.drift for pair in members])),
    )

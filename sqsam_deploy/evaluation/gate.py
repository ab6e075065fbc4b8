"""Passed, failed, or not known yet: what an interval says about a limit."""

import math
from dataclasses import dataclass
from typing import Literal

from sqsam_deploy.evaluation.bootstrap import Interval

Outcome = Literal["passed", "failed", "undecided"]
#: Resampling fewer images than this gives intervals that are far too narrow.
MIN_IMAGES = 10


@dataclass(frozen=True)
class Verdict:
    """What the gate says of one artifact.

    Attributes:
        outcome: Passed when the upper bound is within the limit, failed when the lower bound is
            over it, else undecided.
        objects_needed: Where undecided, about how many objects would decide it, if the mean
            stayed as it is; None where no number would (the mean is the limit) or none is needed.
    """

    outcome: Outcome
    objects_needed: int | None = None


def judge(drift: Interval, limit: float, *, objects: int, images: int) -> Verdict:
    """Compares a drift with a limit.

    Args:
        drift: In mIoU points.
        limit: In mIoU points.
        objects: How many the drift was measured on.
        images: How many they came from.
    """
    if images < MIN_IMAGES:
        enough = math.ceil(objects * MIN_IMAGES / images)
        return Verdict("undecided", max(enough, objects_needed(drift, limit, objects) or 0))
    if drift.high <= limit:
        return Verdict("passed")
    if drift.low > limit:
        return Verdict("failed")
    return Verdict("undecided", objects_needed(drift, limit, objects))


def objects_needed(drift: Interval, limit: float, objects: int) -> int | None:
    """Objects at which the interval would end at the limit; its width falls as 1/sqrt(n)."""
    distance = abs(drift.mean - limit)
    reach = drift.high - drift.mean if drift.mean < limit else drift.mean - drift.low
    return math.ceil(objects * (reach / distance) ** 2) if distance else None

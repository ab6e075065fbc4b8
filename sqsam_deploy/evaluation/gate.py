"""Passed, failed, or not known yet: what the photos say about a limit.

To pass, every bound must be within its limit; as all of them must be, none is corrected for their
number (Berger, "Multiparameter hypothesis testing and acceptance sampling", 1982). To fail, one
value over its limit is enough; of many, one would be by chance, so these are corrected (Holm, "A
simple sequentially rejective multiple test procedure", 1979).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.errors import UsageError
from sqsam_deploy.evaluation.bounds import (
    LARGEST_LOSS,
    TAIL,
    Interval,
    images_to_fail,
    images_to_pass,
    interval,
    p_value_over,
    standard_error,
    upper_bounds,
)

Outcome = Literal["passed", "failed", "undecided"]
#: Images below which nothing fails either: their spread is hardly known.
MIN_IMAGES = 10
#: Limit of every prompt kind, in mIoU points, on a dataset of one's own.
MAX_DRIFT = 1.0
#: On the bundled sample: its 63 photos could hide a loss of 3.4 points.
SAMPLE_MAX_DRIFT = 4.0
#: Sound int8 artifacts of a half-trained nano agree at 0.98; one deep layer's scale off by 2x left
#: the mIoU as it was, or by luck a point higher, and agreed at 0.93 (docs/parity.md).
MIN_AGREEMENT = 0.95
#: On the bundled sample.
SAMPLE_MIN_AGREEMENT = 0.90


@dataclass(frozen=True)
class DriftLimits:
    """The most mIoU points that may be lost.

    Attributes:
        default: By prompts of every kind that has no limit of its own.
        by_kind: By prompt kind.
    """

    default: float = MAX_DRIFT
    by_kind: tuple[tuple[str, float], ...] = ()

    def of(self, kind: str) -> float:
        """The limit of a prompt kind."""
        return dict(self.by_kind).get(kind, self.default)


def parse_limits(text: str | float, kinds: Sequence[str], default: float) -> DriftLimits:
    """Reads `1.0`, `1-click=2`, `0.5,1-click=2`.

    Args:
        text: Numbers, or kinds with numbers, joined by commas.
        kinds: The prompt kinds of the run.
        default: For kinds that the text says nothing about.

    Raises:
        UsageError: A number is not over 0 and under `LARGEST_LOSS`, or a kind is not of the run.
    """
    by_kind: dict[str, float] = {}
    for part in str(text).split(","):
        kind, equals, number = part.strip().rpartition("=")
        limit = _points(number)
        if not equals:
            default = limit
        elif kind in kinds:
            by_kind[kind] = limit
        else:
            raise UsageError(f"--max-drift: '{kind}' is none of the prompts {', '.join(kinds)}")
    return DriftLimits(default, tuple(by_kind.items()))


def _points(text: str) -> float:
    try:
        points = float(text)
    except ValueError:
        points = math.nan
    if not 0 < points < LARGEST_LOSS:
        raise UsageError(
            f"--max-drift takes points over 0 and under {LARGEST_LOSS:g}, got '{text}'"
        )
    return points


@dataclass(frozen=True)
class Loss:
    """Something that must not be too large, and the photos it was measured on.

    Attributes:
        limit: The most its mean may be.
        largest: What a photo can lose at most; in the unit of the limit.
        means: N photos' means.
        least: What a photo can lose at least; negative where it can gain.
    """

    limit: float
    largest: float
    means: NDArray[np.float64]
    least: float = -LARGEST_LOSS


@dataclass(frozen=True)
class Verdict:
    """Knowledge of a loss.

    Attributes:
        outcome: Passed when the bound is within the limit, failed when the mean is over it and
            Holm's correction leaves no doubt of that, else undecided.
        interval: Of the mean.
        bound: Upper bound of the mean.
        images: Photos it was measured on.
        images_needed: Where undecided, images that decide with a chance of 80%, if mean and
            spread stayed as they are; None where no number would, or none is needed.
        images_range: The same at a mean one standard error lower and higher; None where no
            number would.
    """

    outcome: Outcome
    interval: Interval
    bound: float
    images: int
    images_needed: int | None = None
    images_range: tuple[int | None, int | None] = (None, None)


def judge_all(losses: Sequence[Loss], seed: int) -> list[Verdict]:
    """One verdict a loss; all losses of a run belong into one call.

    Args:
        losses: What must be within its limit.
        seed: Of the bounds' random weights.
    """
    bounds = _bounds(losses, seed)
    verdicts = [_unfailed(loss, bound) for loss, bound in zip(losses, bounds, strict=True)]
    failed = holm([_p_value(loss) for loss in losses], TAIL)
    return [
        replace(verdict, outcome="failed", images_needed=None, images_range=(None, None))
        if index in failed and verdict.outcome == "undecided"
        else verdict
        for index, verdict in enumerate(verdicts)
    ]


def _bounds(losses: Sequence[Loss], seed: int) -> list[float]:
    """Upper bounds; losses of equally many photos share their random weights."""
    alike: dict[tuple[int, float], list[int]] = {}
    for index, loss in enumerate(losses):
        alike.setdefault((len(loss.means), loss.largest), []).append(index)
    found: dict[int, float] = {}
    for (_, largest), indices in alike.items():
        means = np.stack([losses[index].means for index in indices], axis=1)
        bounds = upper_bounds(means, largest, seed).tolist()
        found.update(zip(indices, bounds, strict=True))
    return [found[index] for index in range(len(losses))]


def _unfailed(loss: Loss, bound: float) -> Verdict:
    found, count = interval(loss.means), len(loss.means)
    if bound <= loss.limit:
        return Verdict("passed", found, bound, count)
    error = standard_error(loss.means)
    needed, best, worst = (_needed(loss, found.mean + shift) for shift in (0.0, -error, error))
    return Verdict("undecided", found, bound, count, needed, (best, worst))


def _needed(loss: Loss, mean: float) -> int | None:
    deviation = standard_error(loss.means) * math.sqrt(len(loss.means))
    if mean < loss.limit:
        return images_to_pass(mean, deviation, loss.limit, loss.largest)
    number = images_to_fail(mean, deviation, loss.limit)
    return None if number is None else max(number, MIN_IMAGES)


def _p_value(loss: Loss) -> float:
    return p_value_over(loss.means, loss.limit) if len(loss.means) >= MIN_IMAGES else 1.0


def holm(p_values: Sequence[float], level: float) -> set[int]:
    """Indices that Holm's procedure rejects: wrongly any of them with a chance of `level`."""
    rejected: set[int] = set()
    for rank, index in enumerate(np.argsort(p_values, kind="stable").tolist()):
        if p_values[index] > level / (len(p_values) - rank):
            break
        rejected.add(index)
    return rejected


def overall(outcomes: Sequence[Outcome]) -> Outcome:
    """One failure fails the run; without one, anything undecided leaves it undecided."""
    severe: tuple[Outcome, ...] = ("failed", "undecided")
    return next((outcome for outcome in severe if outcome in outcomes), "passed")

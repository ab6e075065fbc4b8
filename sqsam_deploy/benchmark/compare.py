"""Two result files, row by row: how much slower or faster, and whether that is certain."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum

from sqsam_deploy.benchmark.result import BenchmarkResult, Estimate, Measurement, Setup
from sqsam_deploy.benchmark.statistics import independent_ratio, summarize
from sqsam_deploy.errors import ArtifactError

RowKey = tuple[str, Setup]


class Verdict(Enum):
    """What a comparison allows to say, with the exit code of the gate."""

    PASSED = 0
    FAILED = 1
    UNDECIDED = 3


@dataclass(frozen=True)
class ComparedRow:
    """One subject in both files.

    Attributes:
        name: The subject's.
        setup: How it was run in both.
        before: Median inference in the first file, in milliseconds.
        after: The same in the second.
        ratio: after / before; above 1 is slower.
        doubts: Why it cannot be judged, from either file.
    """

    name: str
    setup: Setup
    before: float
    after: float
    ratio: Estimate
    doubts: tuple[str, ...]

    def verdict(self, max_regression: float) -> Verdict:
        """Whether the second is slower by more than `max_regression` (0.05 is 5%).

        Failed when the whole interval lies above the limit, passed when none of it does.
        """
        limit = 1 + max_regression
        if self.doubts:
            return Verdict.UNDECIDED
        if self.ratio.low > limit:
            return Verdict.FAILED
        return Verdict.PASSED if self.ratio.high <= limit else Verdict.UNDECIDED


def compare(before: BenchmarkResult, after: BenchmarkResult) -> list[ComparedRow]:
    """Every subject that both files hold in the same setup; peak kernels are left out.

    Raises:
        ArtifactError: They are of different devices, or share no row.
    """
    if (before.device.kind, before.device.name) != (after.device.kind, after.device.name):
        raise ArtifactError(
            f"the results are of different devices ({before.device.name}, {after.device.name}): "
            "measure both on one"
        )
    rows = list(_rows(before, after))
    if not rows:
        raise ArtifactError("the results share no row: no subject was run the same way in both")
    return rows


def _rows(before: BenchmarkResult, after: BenchmarkResult) -> Iterator[ComparedRow]:
    earlier = {_key(item): item for item in before.measurements}
    for item in after.measurements:
        if _key(item) in earlier and item.subject.role != "peak":
            yield _row(earlier[_key(item)], item)


def _key(item: Measurement) -> RowKey:
    return item.subject.name, item.setup


def _row(before: Measurement, after: Measurement) -> ComparedRow:
    ratio = independent_ratio(after.inference.rounds, before.inference.rounds)
    return ComparedRow(
        name=after.subject.name,
        setup=after.setup,
        before=_median(before),
        after=_median(after),
        ratio=ratio,
        doubts=(*_doubts("first", before), *_doubts("second", after)),
    )


def _median(item: Measurement) -> float:
    return summarize(item.inference.rounds).median.value


def _doubts(which: str, item: Measurement) -> list[str]:
    reasons = item.noise.reasons if item.noise else ()
    return [f"{which} file: {reason}" for reason in reasons]


def overall(rows: list[ComparedRow], max_regression: float) -> Verdict:
    """One failed row fails the gate; else one undecided row leaves it undecided."""
    verdicts = {row.verdict(max_regression) for row in rows}
    for verdict in (Verdict.FAILED, Verdict.UNDECIDED):
        if verdict in verdicts:
            return verdict
    return Verdict.PASSED

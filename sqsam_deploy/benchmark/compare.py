"""Two sets of measurements, row by row: how much slower or faster, and whether that is certain.

Only subjects that took turns in one run decide anything (`compare_interleaved`): what changed on
the machine between two runs is in no interval. Two result files are compared all the same
(`compare`), but such a comparison only says what it found.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum

from sqsam_deploy.benchmark.result import BenchmarkResult, Estimate, Measurement, Setup
from sqsam_deploy.benchmark.statistics import independent_ratio, paired_ratio, typical
from sqsam_deploy.errors import ArtifactError

RowKey = tuple[str, Setup]

#: Before the names of subjects of the two sides of one run.
FIRST, SECOND = "A/", "B/"
#: What a row of two separate runs is not judged for.
NOT_INTERLEAVED = "the two were not measured in turns"


class Verdict(Enum):
    """The verdict of a comparison, with the exit code of the gate."""

    PASSED = 0
    FAILED = 1
    UNDECIDED = 3


@dataclass(frozen=True)
class ComparedRow:
    """One subject on both sides.

    Attributes:
        name: The subject's.
        setup: How it was run in both.
        before: Typical inference on the first side, in milliseconds.
        after: The same on the second.
        ratio: after / before; above 1 is slower.
        doubts: Why it cannot be judged.
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

    A file compared with itself has ratios of exactly 1 and no doubts; any other row is in doubt.

    Raises:
        ArtifactError: They are of different devices, or share no row.
    """
    if differences := before.device.differences(after.device):
        raise ArtifactError(
            f"the results are of different devices ({'; '.join(differences)}): measure both on one"
        )
    rows = list(_rows(before, after))
    if not rows:
        raise ArtifactError("the results share no row: no subject was run the same way in both")
    return rows


def _rows(before: BenchmarkResult, after: BenchmarkResult) -> Iterator[ComparedRow]:
    earlier = {_key(item): item for item in before.measurements}
    for item in after.measurements:
        if _key(item) in earlier and item.subject.role != "peak":
            yield _separate(earlier[_key(item)], item)


def _key(item: Measurement) -> RowKey:
    return item.subject.name, item.setup


def _separate(before: Measurement, after: Measurement) -> ComparedRow:
    if before == after:
        return _row(before, after, Estimate(value=1.0, low=1.0, high=1.0), ())
    ratio = independent_ratio(after.inference, before.inference)
    doubts = (NOT_INTERLEAVED, *_doubts("first", before), *_doubts("second", after))
    return _row(before, after, ratio, doubts)


def compare_interleaved(
    result: BenchmarkResult, names: Sequence[tuple[str, str]]
) -> list[ComparedRow]:
    """Pairs of subjects of one run, in every setup they were measured in.

    Args:
        result: Of the run.
        names: Subjects' names, first and second.

    Raises:
        ArtifactError: None of the pairs was measured.
    """
    rows = [
        _row(
            before,
            after,
            paired_ratio(after.inference, before.inference),
            (*_doubts("first", before), *_doubts("second", after)),
        )
        for first, second in names
        for before in result.measurements
        for after in result.measurements
        if (before.subject.name, after.subject.name) == (first, second)
        and before.setup == after.setup
    ]
    if not rows:
        raise ArtifactError("no pair of artifacts could be measured")
    return rows


def _row(
    before: Measurement, after: Measurement, ratio: Estimate, doubts: tuple[str, ...]
) -> ComparedRow:
    return ComparedRow(
        name=after.subject.name.removeprefix(SECOND),
        setup=after.setup,
        before=typical(before.inference).value,
        after=typical(after.inference).value,
        ratio=ratio,
        doubts=doubts,
    )


def _doubts(which: str, item: Measurement) -> list[str]:
    reasons = item.noise.reasons if item.noise else ()
    return [f"{which}: {reason}" for reason in reasons]


def overall(rows: Sequence[ComparedRow], max_regression: float) -> Verdict:
    """One failed row fails the gate; a row in doubt counts only where all of them are."""
    judged = [row for row in rows if not row.doubts]
    verdicts = {row.verdict(max_regression) for row in judged} or {Verdict.UNDECIDED}
    for verdict in (Verdict.FAILED, Verdict.UNDECIDED):
        if verdict in verdicts:
            return verdict
    return Verdict.PASSED

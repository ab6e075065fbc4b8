"""A comparison of two runs as a table, and as the error that a gate ends with."""

from collections.abc import Sequence

from sqsam_deploy.benchmark.compare import ComparedRow, Verdict
from sqsam_deploy.benchmark.tables import Table, interval, number, setup_text
from sqsam_deploy.errors import ArtifactError, GateError, SqsamError

_WORDS = {
    Verdict.PASSED: "passed",
    Verdict.FAILED: "slower",
    Verdict.UNDECIDED: "undecided",
}


def comparison_table(rows: Sequence[ComparedRow], max_regression: float | None) -> Table:
    """Both medians, the ratio with its interval, and the gate's verdict where there is one."""
    gate = () if max_regression is None else ("verdict",)
    return Table(
        title="Second against first; above 1 is slower",
        columns=("subject", "setup", "first ms", "second ms", "ratio (95% interval)", *gate),
        rows=tuple(_cells(row, max_regression) for row in rows),
        left=2,
        notes=tuple(
            f"In doubt: {row.name}, {setup_text(row.setup)}: {'; '.join(row.doubts)}."
            for row in rows
            if row.doubts
        ),
    )


def _cells(row: ComparedRow, max_regression: float | None) -> tuple[str, ...]:
    verdict = () if max_regression is None else (_WORDS[row.verdict(max_regression)],)
    numbers = number(row.before), number(row.after), interval(row.ratio, unit="x")
    return (row.name, setup_text(row.setup), *numbers, *verdict)


def refusal(verdict: Verdict, rows: Sequence[ComparedRow], limit: float) -> SqsamError | None:
    """The error of a gate that did not pass (exit code 1 or 3); None where it passed."""
    if verdict is Verdict.PASSED:
        return None
    names = sorted({row.name for row in rows if row.verdict(limit) is verdict})
    if verdict is Verdict.FAILED:
        return GateError(f"slower by more than {limit:.1%}: {', '.join(names)}")
    return ArtifactError(
        f"it cannot be said whether these are slower by more than {limit:.1%}: {', '.join(names)}: "
        "compare the directories of the artifacts themselves, on a quiet machine, with more "
        "--processes"
    )

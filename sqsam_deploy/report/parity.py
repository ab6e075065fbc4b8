"""The job of `sqsam-parity`: an evaluation, and its report for people and for CI."""

from collections.abc import Iterable
from pathlib import Path

from sqsam_deploy._internal.atomic import atomic_write
from sqsam_deploy.evaluation import parity as evaluation
from sqsam_deploy.evaluation.parity import ParityOutcome, Stage
from sqsam_deploy.evaluation.report import ParityReport
from sqsam_deploy.evaluation.request import ParityRequest
from sqsam_deploy.evaluation.worst_cases import WorstCase
from sqsam_deploy.report.page import render
from sqsam_deploy.report.parity_drawings import drift_plot, pictures
from sqsam_deploy.report.parity_tables import headline, problems, report_tables, title
from sqsam_deploy.report.parity_text import junit, markdown


def evaluate(
    request: ParityRequest, stage: Stage = lambda what, total: lambda done: None
) -> ParityOutcome:
    """Evaluates, judges, and writes every file of the report.

    Args:
        request: What to evaluate.
        stage: For a progress bar.

    Raises:
        UsageError: The request contradicts itself.
        DataError: The dataset or the baseline cannot be used.
        ArtifactError: An artifact is damaged or failed.
        MissingDependencyError: An optional package is missing.
    """
    return evaluation.evaluate(request, stage, write_parity_report)


def write_parity_report(
    directory: Path, report: ParityReport, worst: Iterable[WorstCase]
) -> tuple[Path, ...]:
    """Writes `parity.html`, `parity.md` and `parity-junit.xml`.

    Args:
        directory: Where.
        report: The numbers.
        worst: From `worst_objects`; drawn one at a time.
    """
    texts = {
        "parity.html": html(report, worst),
        "parity.md": markdown(report),
        "parity-junit.xml": junit(report),
    }
    for name, text in texts.items():
        atomic_write(directory / name, text.encode())
    return tuple(directory / name for name in texts)


def html(report: ParityReport, worst: Iterable[WorstCase]) -> str:
    """The report as one page with the drift plot and the worst objects.

    Args:
        report: The numbers.
        worst: From `worst_objects`; drawn one at a time.
    """
    return render(
        "parity.html.j2",
        report=report,
        heading=title(report),
        headline=headline(report),
        problems=problems(report),
        tables=report_tables(report),
        plot=drift_plot(report),
        worst=[pictures(case) for case in worst],
    )

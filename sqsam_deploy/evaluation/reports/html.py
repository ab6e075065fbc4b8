"""A report as one HTML file that needs no other."""

from collections.abc import Iterable
from pathlib import Path

from sqsam_deploy.errors import MissingDependencyError
from sqsam_deploy.evaluation.report import ParityReport
from sqsam_deploy.evaluation.reports.paper_tables import paper_tables
from sqsam_deploy.evaluation.reports.pictures import pictures
from sqsam_deploy.evaluation.reports.tables import headline, problems, run_tables
from sqsam_deploy.evaluation.worst_cases import WorstCase
from sqsam_deploy.pages import render

TEMPLATE = "parity.html.j2"


def html(report: ParityReport, exhibits: Iterable[WorstCase]) -> str:
    """The report with the drift plot and the worst objects.

    Args:
        report: What was found.
        exhibits: From `worst_objects`; drawn one at a time.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    try:
        from sqsam_deploy.evaluation.reports.plot import drift_plot

        plot = drift_plot(report)
    except ImportError as error:
        raise MissingDependencyError(
            f"the HTML report needs {error.name}: pip install 'sqsam-deploy[eval]'"
        ) from None
    return render(
        Path(__file__).with_name(TEMPLATE),
        report=report,
        headline=headline(report),
        problems=problems(report),
        tables=[*run_tables(report), *paper_tables(report)],
        plot=plot,
        exhibits=[(exhibit, pictures(exhibit)) for exhibit in exhibits],
    )

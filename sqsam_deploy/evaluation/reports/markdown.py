"""A report in Markdown, for a pull request or a job summary."""

import os
from pathlib import Path

from sqsam_deploy.evaluation.report import ParityReport
from sqsam_deploy.evaluation.reports.paper_tables import paper_tables
from sqsam_deploy.evaluation.reports.tables import Table, headline, problems, run_tables

_MARKS = {"passed": "✅", "failed": "❌", "undecided": "❔"}


def markdown(report: ParityReport) -> str:
    """The whole report; details are folded."""
    gate, *others = run_tables(report)
    title = f"## {_MARKS[report.outcome]} Parity {_escape(headline(report))}"
    sentences = "\n".join(f"- {_escape(sentence)}" for sentence in problems(report))
    details = "\n\n".join(_table(table) for table in [*others, *paper_tables(report)])
    folded = f"<details><summary>Details</summary>\n\n{details}\n\n</details>"
    return "\n\n".join(part for part in (title, sentences, _table(gate), folded) if part) + "\n"


def append_step_summary(report: ParityReport) -> None:
    """Adds the report to the summary of a GitHub Actions job, where `$GITHUB_STEP_SUMMARY` is set.

    https://docs.github.com/actions/reference/workflow-commands-for-github-actions
    """
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(markdown(report) + "\n")


def _table(table: Table) -> str:
    ruler = ["---", *["---:"] * (len(table.columns) - 1)]
    lines = [table.columns, ruler, *table.rows]
    drawn = ["| " + " | ".join(_escape(cell) for cell in line) + " |" for line in lines]
    return f"**{_escape(table.title)}**\n\n" + "\n".join(drawn)


def _escape(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")

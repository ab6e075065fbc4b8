"""A parity report as text: on a terminal, in a log, in Markdown, as JUnit XML."""

import os
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from rich.table import Table as RichTable
from rich.text import Text

from sqsam_deploy._internal.terminal import PlainConsole
from sqsam_deploy.evaluation.report import ArtifactReport, ParityReport
from sqsam_deploy.report.page import Table
from sqsam_deploy.report.parity_tables import gate_text, headline, problems, report_tables

_COLORS = {"passed": "green", "failed": "bold red", "undecided": "yellow"}
_MARKS = {"passed": "✅", "failed": "❌", "undecided": "❔"}


def print_report(report: ParityReport, console: PlainConsole) -> None:
    """Prints every table, what went wrong, and the result last, where a reader looks for it."""
    for table in report_tables(report):
        print_table(table, console)
    for sentence in problems(report):
        console.print(sentence, soft_wrap=True)
    console.print(headline(report), style=_COLORS[report.outcome], soft_wrap=True)


def print_table(table: Table, console: PlainConsole) -> None:
    """Prints one table, in color on a terminal, in plain text elsewhere."""
    draw = _draw_rich if console.is_terminal else _draw_plain
    draw(table, console)


def _draw_rich(table: Table, console: PlainConsole) -> None:
    drawn = RichTable(title=table.title, title_justify="left")
    for index, column in enumerate(table.columns):
        drawn.add_column(column, justify="left" if index == 0 else "right")
    for row in table.rows:
        drawn.add_row(*(_colored(cell) for cell in row))
    console.print(drawn)


def _colored(cell: str) -> str | Text:
    return Text(cell, _COLORS[cell]) if cell in _COLORS else cell


def _draw_plain(table: Table, console: PlainConsole) -> None:
    for line in plain_table(table).splitlines():
        console.print(line, soft_wrap=True)


def plain_table(table: Table) -> str:
    """Columns aligned with spaces: what a log shows well."""
    lines = [table.columns, *table.rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.columns))]
    aligned = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in lines]
    return "\n".join([table.title, *(f"  {line.rstrip()}" for line in aligned), ""])


def markdown(report: ParityReport) -> str:
    """The whole report in Markdown; details are folded."""
    gate, *others = report_tables(report)
    title = f"## {_MARKS[report.outcome]} Parity {_escape(headline(report))}"
    sentences = "\n".join(f"- {_escape(sentence)}" for sentence in problems(report))
    details = "\n\n".join(_markdown_table(table) for table in others)
    folded = f"<details><summary>Details</summary>\n\n{details}\n\n</details>"
    return (
        "\n\n".join(part for part in (title, sentences, _markdown_table(gate), folded) if part)
        + "\n"
    )


def append_step_summary(report: ParityReport) -> None:
    """Adds the report to the summary of a GitHub Actions job, where `$GITHUB_STEP_SUMMARY` is set.

    https://docs.github.com/actions/reference/workflow-commands-for-github-actions
    """
    path = os.environ.get("GITHUB_STEP_SUMMARY")
    if path:
        with Path(path).open("a", encoding="utf-8") as file:
            file.write(markdown(report) + "\n")


def _markdown_table(table: Table) -> str:
    ruler = ["---", *["---:"] * (len(table.columns) - 1)]
    lines = [table.columns, ruler, *table.rows]
    drawn = ["| " + " | ".join(_escape(cell) for cell in line) + " |" for line in lines]
    return f"**{_escape(table.title)}**\n\n" + "\n".join(drawn)


def _escape(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def junit(report: ParityReport) -> str:
    """The gates as JUnit XML, which every CI shows as tests.

    Each is a test case; undecided ones are errors, as a test that could not be evaluated.
    """
    suite = ElementTree.Element("testsuite", name="sqsam-parity")
    for name, artifact in report.artifacts.items():
        _add_cases(suite, name, artifact)
    counts = {"tests": "testcase", "failures": "testcase/failure", "errors": "testcase/error"}
    for attribute, path in counts.items():
        suite.set(attribute, str(len(suite.findall(path))))
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add_cases(suite: ElementTree.Element, name: str, artifact: ArtifactReport) -> None:
    for gate in artifact.gates:
        case = ElementTree.SubElement(
            suite, "testcase", classname=name, name=f"{gate.measure}, {gate.kind}"
        )
        message = gate_text(gate)
        if gate.outcome == "passed":
            ElementTree.SubElement(case, "system-out").text = message
        else:
            tag = "failure" if gate.outcome == "failed" else "error"
            ElementTree.SubElement(case, tag, message=message, type=gate.outcome)

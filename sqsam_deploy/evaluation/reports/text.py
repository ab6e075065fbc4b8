"""A report on a terminal (rich) or in a log (plain text)."""

from rich.table import Table as RichTable
from rich.text import Text

from sqsam_deploy._internal.terminal import PlainConsole
from sqsam_deploy.evaluation.report import ParityReport
from sqsam_deploy.evaluation.reports.paper_tables import paper_tables
from sqsam_deploy.evaluation.reports.tables import Table, headline, problems, run_tables

_COLOURS = {"passed": "green", "failed": "bold red", "undecided": "yellow"}


def print_report(report: ParityReport, console: PlainConsole) -> None:
    """Prints every table, what went wrong, and the result last, where a reader looks for it."""
    draw = _draw_rich if console.is_terminal else _draw_plain
    for table in [*run_tables(report), *paper_tables(report)]:
        draw(table, console)
    for sentence in problems(report):
        console.print(sentence, soft_wrap=True)
    console.print(headline(report), style=_COLOURS[report.outcome], soft_wrap=True)


def _draw_rich(table: Table, console: PlainConsole) -> None:
    drawn = RichTable(title=table.title, title_justify="left")
    for index, column in enumerate(table.columns):
        drawn.add_column(column, justify="left" if index == 0 else "right")
    for row in table.rows:
        drawn.add_row(*(_coloured(cell) for cell in row))
    console.print(drawn)


def _coloured(cell: str) -> str | Text:
    return Text(cell, _COLOURS[cell]) if cell in _COLOURS else cell


def _draw_plain(table: Table, console: PlainConsole) -> None:
    for line in plain_table(table).splitlines():
        console.print(line, soft_wrap=True)


def plain_table(table: Table) -> str:
    """Columns aligned with spaces: what a log shows well."""
    lines = [table.columns, *table.rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.columns))]
    aligned = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in lines]
    return "\n".join([table.title, *(f"  {line.rstrip()}" for line in aligned), ""])

"""A report on a terminal (rich) or in a log (plain text)."""

from rich.console import Console
from rich.markup import escape
from rich.table import Table as RichTable

from sqsam_deploy.evaluation.report import ParityReport
from sqsam_deploy.evaluation.reports.paper_tables import paper_tables
from sqsam_deploy.evaluation.reports.tables import Table, headline, problems, run_tables

_COLOURS = {"passed": "green", "failed": "bold red", "undecided": "yellow"}


def print_report(report: ParityReport, console: Console) -> None:
    """Prints every table, what went wrong, and the result last, where a reader looks for it."""
    draw = _draw_rich if console.is_terminal else _draw_plain
    for table in [*run_tables(report), *paper_tables(report)]:
        draw(table, console)
    for sentence in problems(report):
        console.print(escape(sentence), soft_wrap=True, highlight=False)
    colour = _COLOURS[report.outcome]
    console.print(f"[{colour}]{escape(headline(report))}[/]", soft_wrap=True, highlight=False)


def _draw_rich(table: Table, console: Console) -> None:
    drawn = RichTable(title=table.title, title_justify="left")
    for index, column in enumerate(table.columns):
        drawn.add_column(column, justify="left" if index == 0 else "right")
    for row in table.rows:
        drawn.add_row(*(_coloured(cell) for cell in row))
    console.print(drawn)


def _coloured(cell: str) -> str:
    colour = _COLOURS.get(cell)
    return f"[{colour}]{cell}[/]" if colour else escape(cell)


def _draw_plain(table: Table, console: Console) -> None:
    console.print(plain_table(table), markup=False, highlight=False, soft_wrap=True)


def plain_table(table: Table) -> str:
    """Columns aligned with spaces: what a log shows well."""
    lines = [table.columns, *table.rows]
    widths = [max(len(line[i]) for line in lines) for i in range(len(table.columns))]
    aligned = ["  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) for line in lines]
    return "\n".join([table.title, *(f"  {line.rstrip()}" for line in aligned), ""])

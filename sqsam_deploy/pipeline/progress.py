"""Steps shown as a bar on a terminal and as lines in a log."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn
from rich.progress import TimeElapsedColumn as Elapsed


class Steps(Protocol):
    """Told what is being done, so that somebody who waits can see it."""

    def begin(self, what: str) -> None:
        """A step starts; the one before it is done."""


class SilentSteps:
    """Shows nothing."""

    def begin(self, what: str) -> None:
        """Nothing to show."""


class _Bar:
    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._task = progress.add_task("starting", total=total, completed=-1)

    def begin(self, what: str) -> None:
        self._progress.update(self._task, advance=1, description=what)


class _Lines:
    def __init__(self, console: Console, total: int) -> None:
        self._console, self._total, self._count = console, total, 0

    def begin(self, what: str) -> None:
        self._count += 1
        self._console.print(f"[{self._count}/{self._total}] {what}", markup=False)


@contextmanager
def shown_steps(total: int, console: Console | None = None) -> Iterator[Steps]:
    """Steps on stderr, for a command that knows how many there will be."""
    console = console or Console(stderr=True)
    if not console.is_terminal:
        yield _Lines(console, total)
        return
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Elapsed(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Bar(progress, total)

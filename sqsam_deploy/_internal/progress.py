"""Steps shown as a bar on a terminal and as lines in a log."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import TimeElapsedColumn as Elapsed
from rich.text import Text

from sqsam_deploy._internal.terminal import stderr
from sqsam_deploy.errors import printable


class DescriptionColumn(TextColumn):
    """The name of a progress bar, which may be a file's name."""

    def __init__(self) -> None:
        super().__init__("", markup=False)

    def render(self, task: Task) -> Text:
        """The description as it is, with control characters escaped."""
        return Text(printable(task.description))


class Steps(Protocol):
    """Receives the steps of a computation, to show them."""

    def begin(self, what: str) -> None:
        """A step starts; the one before it is done."""

    def end(self) -> None:
        """The last step is done, and the next one does not start yet."""

    def subtask(self) -> "Steps":
        """Another line of steps, done at the same time as this one and counted with it."""


class SilentSteps:
    """Shows nothing."""

    def begin(self, what: str) -> None:
        """Nothing to show."""

    def end(self) -> None:
        """Nothing to show."""

    def subtask(self) -> Steps:
        """Shows nothing either."""
        return self


class _Bar:
    """A bar of what is done, named after what is going on.

    Args:
        progress: Shows it.
        task: Its bar.
        current: What goes on now, in every line of steps.
    """

    def __init__(self, progress: Progress, task: TaskID, current: "dict[_Bar, str]") -> None:
        self._progress, self._task, self._current = progress, task, current

    def begin(self, what: str) -> None:
        self._finish()
        self._current[self] = what
        self._describe()

    def end(self) -> None:
        self._finish()
        self._describe()

    def subtask(self) -> Steps:
        return _Bar(self._progress, self._task, self._current)

    def _finish(self) -> None:
        if self._current.pop(self, None) is not None:
            self._progress.advance(self._task)

    def _describe(self) -> None:
        if self._current:
            self._progress.update(self._task, description=", ".join(self._current.values()))


class _Lines:
    """A line for every step that begins."""

    def __init__(self, console: Console, total: int) -> None:
        self._console, self._total, self._count = console, total, 0

    def begin(self, what: str) -> None:
        self._count += 1
        self._console.print(f"[{self._count}/{self._total}] {what}", markup=False)

    def end(self) -> None:
        """A line that is printed stays."""

    def subtask(self) -> Steps:
        return self


@contextmanager
def shown_steps(total: int, console: Console | None = None) -> Iterator[Steps]:
    """Steps on stderr, for a command that knows how many there will be."""
    console = console or stderr()
    if not console.is_terminal:
        yield _Lines(console, total)
        return
    columns = (
        SpinnerColumn(),
        DescriptionColumn(),
        BarColumn(),
        MofNCompleteColumn(),
        Elapsed(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        yield _Bar(progress, progress.add_task("starting", total=total), {})

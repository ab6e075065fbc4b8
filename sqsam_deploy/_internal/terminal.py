"""Text on a terminal: what a file, a store or a person wrote can neither style nor steer it."""

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.text import Text

from sqsam_deploy.errors import printable

#: Columns of a table where there is no terminal: nothing is wrapped or cut off in a log.
LOG_WIDTH = 10_000


@dataclass(frozen=True)
class Shown:
    """The output of a program, errors apart.

    Attributes:
        text: Results for people, on standard output.
        notes: Notes, warnings and progress, on standard error.
    """

    text: bool = True
    notes: bool = True


_shown = Shown()


@contextmanager
def showing(shown: Shown) -> Iterator[None]:
    """Inside the block, `stdout` and `stderr` show that alone."""
    global _shown
    before, _shown = _shown, shown
    try:
        yield
    finally:
        _shown = before


class PlainConsole(Console):
    """A rich console for strings from anywhere: it knows no markup, and escapes control characters.

    A line break inside a string is escaped too, so that a name cannot pretend to be a second line.
    Styles come from `rich.text.Text`, from columns, and from `style=`.
    """

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(stderr=stderr, width=width, markup=False, highlight=False, emoji=False)

    def print(self, *objects: Any, **options: Any) -> None:
        """In a log, without the spaces that fill the columns of a table."""
        if self.is_terminal or self.quiet:
            super().print(*objects, **options)
            return
        with self.capture() as captured:
            super().print(*objects, **options)
        try:
            self.file.write(re.sub(r" +$", "", captured.get(), flags=re.MULTILINE))
            self.file.flush()
        except BrokenPipeError:
            self.on_broken_pipe()

    def render_str(self, text: str, **options: Any) -> Text:
        """The string as it is, with control characters escaped."""
        return super().render_str(printable(text), **options)

    def on_broken_pipe(self) -> None:
        """Leaves it to the command, which ends quietly; rich would exit with 1."""
        raise BrokenPipeError


def stdout() -> PlainConsole:
    """Standard output; as wide as it takes where that is no terminal."""
    console = PlainConsole()
    console = console if console.is_terminal else PlainConsole(width=LOG_WIDTH)
    console.quiet = not _shown.text
    return console


def stderr() -> PlainConsole:
    """Standard error, for progress and notes."""
    console = PlainConsole(stderr=True)
    console.quiet = not _shown.notes
    return console


def say(text: str) -> None:
    """One line on standard output, never wrapped."""
    stdout().print(text, soft_wrap=True)


def note(text: str) -> None:
    """One line on standard error, never wrapped."""
    stderr().print(text, soft_wrap=True)


def complain(text: str) -> None:
    """One line on standard error, whatever else is shown."""
    PlainConsole(stderr=True).print(text, soft_wrap=True)


class _Notes(logging.Handler):
    """Log records as notes."""

    def emit(self, record: logging.LogRecord) -> None:
        note(record.getMessage())


def show_notices() -> None:
    """Shows this package's notices on standard error, whatever handlers a library installs."""
    logger = logging.getLogger("sqsam_deploy")
    logger.handlers[:] = [_Notes()]
    logger.propagate = False

"""Text on a terminal: what a file, a store or a person wrote can neither style nor steer it."""

import logging
from typing import Any

from rich.console import Console
from rich.text import Text

from sqsam_deploy.errors import printable

#: Columns of a table where there is no terminal: nothing is wrapped or cut off in a log.
LOG_WIDTH = 400


class PlainConsole(Console):
    """A rich console for strings from anywhere: it knows no markup, and escapes control characters.

    A line break inside a string is escaped too, so that a name cannot pretend to be a second line.
    Styles come from `rich.text.Text`, from columns, and from `style=`.
    """

    def __init__(self, *, stderr: bool = False, width: int | None = None) -> None:
        super().__init__(stderr=stderr, width=width, markup=False, highlight=False, emoji=False)

    def render_str(self, text: str, **options: Any) -> Text:
        """The string as it is, with control characters escaped."""
        return super().render_str(printable(text), **options)

    def on_broken_pipe(self) -> None:
        """Leaves it to the command, which ends quietly; rich would exit with 1."""
        raise BrokenPipeError


def stdout() -> PlainConsole:
    """Standard output; as wide as it takes where that is no terminal."""
    console = PlainConsole()
    return console if console.is_terminal else PlainConsole(width=LOG_WIDTH)


def stderr() -> PlainConsole:
    """Standard error, for progress and notes."""
    return PlainConsole(stderr=True)


def say(text: str) -> None:
    """One line on standard output, never wrapped."""
    stdout().print(text, soft_wrap=True)


def note(text: str) -> None:
    """One line on standard error, never wrapped."""
    stderr().print(text, soft_wrap=True)


class _Notes(logging.Handler):
    """Log records as notes."""

    def emit(self, record: logging.LogRecord) -> None:
        note(record.getMessage())


def show_notices() -> None:
    """Shows this package's notices on standard error, whatever handlers a library installs."""
    logger = logging.getLogger("sqsam_deploy")
    logger.handlers[:] = [_Notes()]
    logger.propagate = False

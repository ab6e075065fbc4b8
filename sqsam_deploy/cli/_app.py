"""The parts that every command shares: the style of its options, and how it ends.

Exit codes: 0 done, 1 a gate failed, 2 wrong usage, 3 could not be done, 70 unexpected
(`EX_SOFTWARE`); 130 after Ctrl-C and 141 for a pipe that nobody reads, as a shell counts signals.
"""

import logging
import os
import platform
import sys
import tempfile
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from cyclopts import App, CycloptsError, Group, MissingArgumentError, Parameter
from cyclopts.exceptions import UnusedCliTokensError

from sqsam_deploy._internal.packages import missing_package
from sqsam_deploy._internal.terminal import (
    PlainConsole,
    complain,
    note,
    show_notices,
    showing,
    stderr,
)
from sqsam_deploy.cli._output import HELP, JSON, QUIET, document, without_output_flags
from sqsam_deploy.errors import SqsamError
from sqsam_deploy.version import __version__

PROGRAM_VERSION = f"sqsam-deploy {__version__}"

_UNEXPECTED, _INTERRUPTED, _BROKEN_PIPE = 70, 130, 141


def make_app(
    name: str,
    usage: str,
    *,
    validator: Callable[[Any], None] | None = None,
) -> App:
    """A command whose options are made from the signatures and dataclasses given to it.

    Args:
        name: Of the command, as a user types it.
        usage: The words after the name, in short.
        validator: Called with the options (`cyclopts.ArgumentCollection`) before anything runs.
    """
    app = App(
        name=name,
        usage=f"Usage: {name} {usage}",
        version=PROGRAM_VERSION,
        help_format="markdown",
        default_parameter=Parameter(
            # A flag has no opposite unless it names one. An option may be given twice: the last
            # one counts.
            negative=(),
            allow_repeating=True,
            show_default=_shown_default,
        ),
        group_arguments=Group("Arguments", sort_key=0, validator=validator),
        group_parameters=Group("Options", sort_key=1, validator=validator),
        group_commands=_COMMANDS,
        result_action="return_value",
        console=PlainConsole(),
    )
    app.register_install_completion_command()
    _list_general_options(app)
    return app


_COMMANDS = Group("Other commands", sort_key=2)
_GENERAL = Group("General options", sort_key=3)
_GENERAL_TEXTS = {
    "--help": "Show this help.",
    "--install-completion": "Install completion for this shell.",
    "--version": "Show the version of the program.",
}


def _list_general_options(app: App) -> None:
    """Explains in `--help` what every command takes."""
    for flag, text in _GENERAL_TEXTS.items():
        if flag in app:
            app[flag].help, app[flag].group, app[flag].show = text, _GENERAL, True
    for flag, text in HELP.items():
        # For --help alone: `exit_code` takes these flags out before the command sees them.
        names = QUIET if flag in QUIET else (flag,)
        app.command(_no_command, name=names, help=text, group=_GENERAL)


def _no_command() -> None:
    """Stands for a flag in the list of options."""


def _shown_default(value: object) -> str | None:
    if value is None or value is False or value is True or value == ():
        return None
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)


def run(app: App) -> None:
    """Runs a command on the words it was started with, and ends the process.

    What a command returns is its exit code; None is 0.
    """
    sys.exit(exit_code(app))


def exit_code(app: App) -> int:
    """Runs a command; every exception becomes a sentence on standard error and an exit code."""
    _open_closed_streams()
    _silence_dependencies()
    show_notices()
    for name in app:
        if not name.startswith("-") and JSON not in app[name]:
            _list_general_options(app[name])
    words, shown, as_json = without_output_flags(sys.argv[1:])
    with showing(shown):
        code, sentence = _ended(partial(app, exit_on_error=False, print_error=False), words)
    if as_json and code not in (_INTERRUPTED, _BROKEN_PIPE):
        text = document(_name(app, words), code, sentence)
        unwritten, _ = _ended(lambda _: print(text), [])
        return unwritten or code
    return code


def _name(app: App, words: list[str]) -> str:
    """The command as it is typed, with its subcommand: `sqsam-pull list`."""
    subcommands = {name for name in app if not name.startswith("-")}
    return " ".join([app.name[0], *(word for word in words[:1] if word in subcommands)])


def _ended(run: Callable[[list[str]], Any], words: list[str]) -> tuple[int, str | None]:
    """Runs a command: its exit code, and the error that it ended with, which was told."""
    try:
        code = run(words)
        sys.stdout.flush()
        return (code if isinstance(code, int) else 0), None
    except KeyboardInterrupt:
        return _INTERRUPTED, None
    except BrokenPipeError:
        # The interpreter flushes once more when it ends, which would fail again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _BROKEN_PIPE, None
    except Exception as error:
        sentence, code = _explained(error)
        try:
            complain(f"error: {sentence}")
        except OSError:
            # The interpreter flushes this too.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
        return code, sentence


def _open_closed_streams() -> None:
    """Standard streams that the caller closed (`2>&-`) take what is printed, and drop it.

    Otherwise the next file that is opened has their number, and gets what they are told.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_WRONLY), "w"))


def _explained(error: Exception) -> tuple[str, int]:
    if isinstance(error, SqsamError):
        return str(error), error.exit_code
    if isinstance(error, CycloptsError):
        return _usage_sentence(error), 2
    if isinstance(error, ModuleNotFoundError) and _is_foreign(error.name):
        return missing_package(str(error.name)), 3
    if isinstance(error, OSError):
        # Full disk, missing permission: the operating system's own words are the clearest.
        # Of a file that is moved into place, the place.
        name = error.filename2 or error.filename
        words = error.strerror or error
        return f"{name} cannot be used: {words}" if name else str(words), 3
    try:
        report = f"with the file {_write_report()}"
    except OSError as full:
        report = f"the traceback could not be written to a file ({full.strerror})"
    kind = type(error).__name__
    return (
        f"something unexpected happened ({kind}: {error}): please report it, {report}",
        _UNEXPECTED,
    )


def _usage_sentence(error: CycloptsError) -> str:
    """Cyclopts' own sentence, where it does not speak of tokens and parameters."""
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        return f"nothing takes '{error.unused_tokens[0]}': --help shows what the command takes"
    argument = error.argument
    if isinstance(error, MissingArgumentError) and argument and error.keyword is None:
        is_option = argument.index is None
        name = argument.name if is_option else argument.parameter.metavar or argument.name
        return f"{name} is missing: --help shows what the command takes"
    return str(error)


def _is_foreign(module: str | None) -> bool:
    return module is not None and module.split(".")[0] != "sqsam_deploy"


def _write_report() -> Path:
    """A file with the traceback that is being handled, for a report."""
    lines = (
        f"{PROGRAM_VERSION}, Python {platform.python_version()}, {platform.platform()}",
        f"command: {sys.argv}",
        traceback.format_exc(),
    )
    handle, name = tempfile.mkstemp(prefix="sqsam-error-", suffix=".txt")
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        file.write("\n".join(lines))
    return Path(name)


def _silence_dependencies() -> None:
    """Only this package's own warnings are shown, each as one line.

    Dependencies warn of what a user cannot change; with `PYTHONWARNINGS=error` such a warning
    would end the command. Processes that are started later inherit this.
    """
    logging.disable(logging.WARNING)
    os.environ["PYTHONWARNINGS"] = "ignore"
    sys.warnoptions[:] = ["ignore"]
    warnings.resetwarnings()
    warnings.simplefilter("ignore")
    warnings.filterwarnings("default", module=r"sqsam_deploy(\.|$)")
    warnings.showwarning = _show_warning


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    note(f"warning: {message}")


@contextmanager
def loading() -> Iterator[None]:
    """Says that a command has begun, while the libraries it needs are imported."""
    console = stderr()
    if console.is_terminal:
        with console.status("loading the libraries"):
            yield
    else:
        console.print("loading the libraries")
        yield

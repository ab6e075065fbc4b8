"""What every command shares: one-sentence errors and their exit codes."""

import sys
from collections.abc import Callable

import typer

from sqsam_deploy.errors import SqsamError
from sqsam_deploy.version import __version__


def show_version(value: bool) -> None:
    """Callback of `--version`."""
    if value:
        typer.echo(f"sqsam-deploy {__version__}")
        raise typer.Exit


def run(command: Callable[..., None]) -> None:
    """Runs a single-command Typer app and turns `SqsamError` into one line and an exit code.

    Exit codes: 0 done, 1 a gate failed, 2 wrong usage, 3 could not be done.
    """
    app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    app.command()(command)
    run_app(app)


def run_app(app: typer.Typer) -> None:
    """The same for an app with several commands."""
    try:
        app()
    except SqsamError as error:
        _fail(str(error), error.exit_code)
    except OSError as error:
        # Full disk, missing permission: the operating system's own words are the clearest.
        where = f" ({error.filename})" if error.filename else ""
        _fail(f"{error.strerror or error}{where}", 3)
    except KeyboardInterrupt:
        _fail("interrupted", 130)


def _fail(message: str, code: int) -> None:
    print(f"error: {message}", file=sys.stderr)
    raise SystemExit(code)

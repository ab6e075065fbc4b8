"""Runs a console command as a user would: arguments in, exit code and text out."""

import contextlib
import importlib
import io
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

_PROJECT = Path(__file__).parents[1] / "pyproject.toml"


@dataclass(frozen=True)
class Done:
    """How a command ended, and what it printed."""

    code: int
    stdout: str
    stderr: str


#: Runs one command with the arguments it is given.
Command = Callable[..., Done]


def run_command(
    name: str,
    *arguments: object,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Done:
    """`sqsam-NAME ARGUMENTS` in this process, which has the libraries already."""
    module, function = _entry_point(name)
    main = getattr(importlib.import_module(module), function)
    stdout, stderr, code = io.StringIO(), io.StringIO(), 0
    with (
        mock.patch.object(sys, "argv", [f"sqsam-{name}", *map(str, arguments)]),
        mock.patch.dict(os.environ, environment or {}),
        contextlib.chdir(cwd or Path.cwd()),
        contextlib.redirect_stdout(stdout),
        contextlib.redirect_stderr(stderr),
    ):
        try:
            code = main() or 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    return Done(code, stdout.getvalue(), stderr.getvalue())


def run_process(name: str, *arguments: object, **options: Any) -> subprocess.CompletedProcess[str]:
    """The same in a process of its own: for what forks, and for what is killed.

    Args:
        name: As in `run_command`.
        arguments: As in `run_command`.
        options: Of `subprocess.run`: `cwd`, `env`, `timeout`.
    """
    command = process_line(name, *arguments)
    return subprocess.run(command, capture_output=True, text=True, **{"timeout": 1200, **options})


def process_line(name: str, *arguments: object) -> list[str]:
    """The command line of that process."""
    module, function = _entry_point(name)
    entry = f"from {module} import {function}; {function}()"
    return [sys.executable, "-c", entry, *map(str, arguments)]


def _entry_point(name: str) -> tuple[str, str]:
    """Module and function that the project declares for a command."""
    scripts = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]["scripts"]
    module, function = scripts[f"sqsam-{name}"].split(":")
    return module, function


def elsewhere(folder: Path) -> dict[str, str]:
    """An environment with another home, temporary folder, user name and order of hashes."""
    for name in ("home", "temporary"):
        (folder / name).mkdir()
    changed = {"HOME": str(folder / "home"), "TMPDIR": str(folder / "temporary")}
    return os.environ | changed | {"PYTHONHASHSEED": "77", "USER": "someone", "LOGNAME": "someone"}

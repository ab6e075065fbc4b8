"""Runs a console command as a user would, in this process: arguments in, exit code and text out."""

import contextlib
import importlib
import io
import os
import sys
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

_PROJECT = Path(__file__).parents[1] / "pyproject.toml"


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    stdout: str
    stderr: str


def run_command(
    name: str,
    *arguments: object,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Done:
    """`sqsam-NAME ARGUMENTS`, by the entry point that the project declares for it."""
    scripts = tomllib.loads(_PROJECT.read_text(encoding="utf-8"))["project"]["scripts"]
    module, function = scripts[f"sqsam-{name}"].split(":")
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

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

Run = Callable[..., subprocess.CompletedProcess[str]]


def _run(verb: str, arguments: Sequence[str | Path], **options: object) -> object:
    """Runs a verb in a process of its own, as a user would."""
    entry = f"from sqsam_deploy.cli.{verb} import main; main()"
    command = [sys.executable, "-c", entry, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, **options)  # type: ignore[call-overload]


@pytest.fixture(scope="session")
def command() -> Run:
    def call(verb: str, *arguments: str | Path, **options: object) -> object:
        return _run(verb, arguments, **options)

    return call  # type: ignore[return-value]


@pytest.fixture(scope="session")
def exported(nano_export: Path) -> Path:
    """The main job, run once."""
    return nano_export

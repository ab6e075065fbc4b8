import subprocess
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.commands import run_process

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def command() -> Run:
    """Runs a verb in a process of its own, as a user would."""
    return partial(run_process, timeout=600)


@pytest.fixture(scope="session")
def exported(nano_export: Path) -> Path:
    """The main job, run once."""
    return nano_export

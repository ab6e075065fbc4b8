"""A fixed number of changed files for every reader; `make fuzz` goes on with others."""

import sys
from pathlib import Path

import pytest

from tests.fuzz.harness import run
from tests.fuzz.targets import TARGETS

CASES = 40

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does"),
]


def test_every_changed_file_is_read_or_refused_by_the_package(tmp_path: Path) -> None:
    cases = [(name, case) for name in TARGETS for case in range(CASES)]
    findings = list(run(cases, 0, tmp_path))
    assert not findings, "\n".join(str(finding) for finding in findings)

"""A `.tflite` where LiteRT is not installed, whether it is or not."""

import sys
from pathlib import Path

import pytest

from sqsam_deploy.errors import MissingDependencyError
from sqsam_deploy.runtimes.litert import RUNTIME as LITERT
from sqsam_deploy.runtimes.registry import dependencies_of


def test_a_sentence_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with (
        pytest.raises(MissingDependencyError, match="ai-edge-litert") as raised,
        dependencies_of(LITERT),
    ):
        LITERT.read_metadata(Path("cutter.tflite"))
    assert raised.value.exit_code == 3
    assert 'constraints-litert.txt ".[litert]"' in str(raised.value)

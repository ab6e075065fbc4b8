import json
import os
import platform
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.benchmark.phones import fake_xcode
from tests.release.export_builder import ExportBuilder


@pytest.fixture(scope="session")
def export(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two ExecuTorch files, an ONNX one and a Core ML package, of a few KB."""
    return ExportBuilder()(tmp_path_factory.mktemp("ios") / "export")


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[list[str]]]:
    """Makes this machine a Mac with stand-ins of Xcode's tools; returns what they were told."""
    tools = tmp_path / "tools"
    tools.mkdir()
    for name in ("xcodebuild", "xcrun"):
        (tools / name).write_text(
            f"#!{sys.executable}\n" + Path(fake_xcode.__file__).read_text(encoding="utf-8")
        )
        (tools / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_XCODE", str(tmp_path))
    monkeypatch.setattr(platform, "system", lambda: "Darwin")
    record = tmp_path / "calls.jsonl"
    return lambda: [json.loads(line) for line in record.read_text().splitlines()]

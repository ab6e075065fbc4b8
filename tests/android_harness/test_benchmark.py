"""`sqsam-bench android` from the plan to the table, with the Kotlin suite on this machine."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from sqsam_deploy.artifact.manifest import read_manifest
from sqsam_deploy.benchmark.phones.android import AndroidRun, measure_on_android
from sqsam_deploy.benchmark.phones.checks import check_phone_result
from sqsam_deploy.errors import ArtifactError, DeviceError, UsageError
from tests.commands import run_command
from tests.release.export_builder import ExportBuilder, keep_artifacts

FAKE_ADB = Path(__file__).parent / "fake_adb.py"


@pytest.fixture
def export(tmp_path: Path) -> Path:
    """Two ExecuTorch files, an ONNX one and a Core ML package, of a few KB."""
    return ExportBuilder()(tmp_path / "export")


@pytest.fixture
def calls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[list[str]]]:
    """Puts the stand-in of adb on the path; returns what it was told."""
    tool = tmp_path / "tools" / "adb"
    tool.parent.mkdir()
    tool.write_text(f"#!{sys.executable}\n" + FAKE_ADB.read_text())
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tool.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_PHONE", str(tmp_path))
    record = tmp_path / "calls.jsonl"
    return lambda: [json.loads(line) for line in record.read_text().splitlines()]


def run(export: Path, **changes: object) -> AndroidRun:
    return AndroidRun([export], apk=export / "app.apk", rounds=10, **changes)  # type: ignore[arg-type]


def test_the_suites_result_is_taken_in_and_stands_in_the_table(
    android_classes: Path,
    export: Path,
    calls: Callable[[], list[list[str]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANDROID_CLASSES", str(android_classes))
    result = measure_on_android(run(export))
    assert result.device.kind == "android"
    rows = {(row.subject.name, row.setup.compute) for row in result.measurements}
    assert rows == {("nano-int8.pte", "cpu"), ("nano-fp32.pte", "cpu")}
    for row in result.measurements:
        assert len(row.inference.rounds) == 10
        assert row.inference.summary is not None
        # The stand-in reads its inputs for at least 0.5 ms.
        assert row.inference.summary.median.value >= 0.5
    reasons = {row.subject: row.reason for row in result.not_measured}
    assert "cannot be loaded by a stand-in" in reasons["nano-int8.onnx"]
    assert "does not run coreml" in reasons["nano-int8.mlpackage"]
    [ratio] = result.ratios
    assert ratio.numerator == "nano-fp32.pte"
    told = calls()
    assert ["-s", "ABC123", "install", "-r", str(export / "app.apk")] in told
    steps = ["install", "shell", "push", "shell", "pull"]
    assert [words[2] for words in told[1:]] == steps

    kept = tmp_path / "kept"
    file = tmp_path / "sqsam-result.json"  # as the app left it
    done = run_command("bench", "import", file, "--artifacts", export, "-o", kept)
    assert done.code == 0, done.stderr
    assert "nano-int8.pte" in done.stdout
    [name] = [path.name for path in kept.iterdir()]
    assert name.startswith("example-phone-")


def test_an_emulators_result_is_refused(
    android_classes: Path,
    export: Path,
    calls: Callable[[], list[list[str]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ANDROID_CLASSES", str(android_classes))
    result = measure_on_android(run(export))
    emulator = result.device.model_copy(update={"virtual": True})
    with pytest.raises(ArtifactError, match="emulator"):
        check_phone_result(result.model_copy(update={"device": emulator}), [read_manifest(export)])


@pytest.mark.parametrize(
    ("serials", "device", "message"),
    [
        ("", None, "no phone is connected"),
        ("A B", None, "choose one with --device: A, B"),
        ("A B", "C", "there is no device C"),
    ],
)
def test_the_phone_has_to_be_clear(
    export: Path,
    calls: Callable[[], list[list[str]]],
    monkeypatch: pytest.MonkeyPatch,
    serials: str,
    device: str | None,
    message: str,
) -> None:
    monkeypatch.setenv("FAKE_SERIALS", serials)
    with pytest.raises(DeviceError, match=message):
        measure_on_android(run(export, device=device))


def test_without_adb_one_sentence_says_what_to_install(
    export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    done = run_command("bench", "android", export, "--rounds", "10", "-o", tmp_path / "kept")
    assert done.code == 3
    assert "platform tools" in done.stderr
    assert not (tmp_path / "kept").exists()


def test_an_app_that_measures_nothing_is_said(
    export: Path, calls: Callable[[], list[list[str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANDROID_CLASSES", str(export))  # where no class path is
    with pytest.raises(DeviceError, match="the app did not"):
        measure_on_android(run(export))


def test_nothing_to_run_on_android_is_said(
    export: Path, calls: Callable[[], list[list[str]]]
) -> None:
    keep_artifacts(export, lambda path: path.endswith("package"))
    with pytest.raises(UsageError, match="none of the artifacts runs on an Android phone"):
        measure_on_android(run(export))

"""A `.tflite` where LiteRT is not installed, whether it is or not."""

import sys
from pathlib import Path

import pytest
from PIL import Image

from sqsam_deploy.errors import MissingDependencyError
from sqsam_deploy.runtimes.litert import RUNTIME as LITERT
from sqsam_deploy.runtimes.onnx import RUNTIME as ONNX
from sqsam_deploy.runtimes.registry import dependencies_of, require_library
from tests.commands import run_command


def test_a_sentence_names_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with (
        pytest.raises(MissingDependencyError, match="ai-edge-litert") as raised,
        dependencies_of(LITERT),
    ):
        LITERT.read_metadata(Path("cutter.tflite"))
    assert raised.value.exit_code == 3
    assert 'constraints-litert.txt ".[litert]"' in str(raised.value)


@pytest.fixture
def without_litert(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (
        "ai_edge_litert",
        "ai_edge_litert.interpreter",
        "ai_edge_litert.schema_py_generated",
        "litert_torch",
        "litert_converter",
    ):
        monkeypatch.setitem(sys.modules, module, None)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A directory with a `.tflite`, of which only the first bytes have to be right."""
    (tmp_path / "artifacts").mkdir()
    (tmp_path / "artifacts" / "nano-int8.tflite").write_bytes(b"\x1c\0\0\0TFL3" + bytes(64))
    Image.new("RGB", (40, 30)).save(tmp_path / "photo.png")
    return tmp_path


@pytest.mark.parametrize(
    ("command", "arguments"),
    [
        ("export", ("--checkpoint", "nano", "--int8", "--runtime", "litert", "-o", "out")),
        ("export", ("--checkpoint", "nano", "--recipe", "android-litert", "-o", "out")),
        ("inspect", ("artifacts/nano-int8.tflite",)),
        ("predict", ("artifacts/nano-int8.tflite", "photo.png")),
        ("predict", ("--auto", "--saliency", "artifacts/nano-int8.tflite", "photo.png")),
        ("parity", ("artifacts", "--reference", "nano")),
    ],
)
def test_every_command_ends_with_one_sentence_and_3(
    without_litert: None, folder: Path, command: str, arguments: tuple[str, ...]
) -> None:
    done = run_command(command, *arguments, cwd=folder)
    assert done.code == 3, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(said) == 1 and 'constraints-litert.txt ".[litert]"' in said[0], done.stderr
    assert "Traceback" not in done.stderr
    assert not (folder / "out").exists()


def test_a_benchmark_looks_for_it_before_it_measures_anything(without_litert: None) -> None:
    with pytest.raises(MissingDependencyError, match=r'constraints-litert.txt "\.\[litert\]"'):
        require_library(LITERT)
    require_library(ONNX)

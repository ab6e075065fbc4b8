"""Outputs, stores and networks that a command cannot use are refused before anything is done."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from sqsam_deploy.datasets import bundled_dataset
from tests.cli.test_publish import export as export
from tests.commands import run_command

PHOTO = bundled_dataset("sample").images[0].path
GOLDEN = Path(__file__).parents[1] / "release" / "golden" / "v2" / "store"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a-file"
    path.write_text("what somebody wrote")
    return path


def test_a_file_is_no_output(file: Path, tmp_path: Path) -> None:
    for output in (file, file / "below"):
        for words in (
            ("predict", "nano", PHOTO, "-o", output),
            ("export", "--checkpoint", "nano", "--fp32", "--runtime", "onnx", "-o", output),
            ("pull", "squeezesam-nano@1.0.0", "--store", GOLDEN, "-o", output),
            ("parity", tmp_path, "-o", output),
            ("bench", tmp_path, "-o", output),
            ("train", "--data", tmp_path, "--output", output),
        ):
            done = run_command(*words, cwd=tmp_path)
            assert done.code == 2, done
            assert str(file) in done.stderr
    assert file.read_text() == "what somebody wrote"


def test_a_file_is_no_store(export: Path, file: Path, tmp_path: Path) -> None:
    release = ("publish", export, file, "--release", "1.0.0")
    store = ("--store", file)
    for words in (
        release,
        (*release, "--dry-run"),
        ("publish", "rebuild-index", file),
        ("pull", "squeezesam-nano@1.0.0", *store),
        ("pull", "list", *store),
    ):
        done = run_command(*words, cwd=tmp_path)
        assert done.code == 2, done
        assert str(file) in done.stderr


def test_a_store_that_is_missing_is_not_made(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    for words in (
        ("publish", "rebuild-index", missing),
        ("publish", "tag", missing, "squeezesam-nano@1.0.0", "stable"),
        ("pull", "list", "--store", missing),
        ("pull", "squeezesam-nano", "--store", missing),
    ):
        done = run_command(*words, cwd=tmp_path)
        assert done.code == 3, done
        assert str(missing) in done.stderr
    assert not missing.exists()


def test_an_empty_store_is_said_to_be_empty(tmp_path: Path) -> None:
    done = run_command("pull", "list", "--store", tmp_path, "--json")
    assert done.code == 0
    assert json.loads(done.stdout)["result"]["models"] == {}
    assert str(tmp_path) in done.stderr


def test_a_key_that_is_none_is_named_without_a_lecture(
    export: Path, file: Path, tmp_path: Path
) -> None:
    words = ("publish", export, tmp_path / "store", "--release", "1.0.0", "--sign-key")
    for option in ((), ("--dry-run",)):
        done = run_command(*words, file, *option)
        assert done.code == 2
        assert f"{file} is no usable private key" in done.stderr
        assert "http" not in done.stderr
    assert run_command(*words, tmp_path / "missing").code == 2
    assert not (tmp_path / "store").exists()


def test_a_directory_is_no_artifact(tmp_path: Path) -> None:
    done = run_command("predict", tmp_path, PHOTO)
    assert done.code == 3
    assert f"{tmp_path} is a directory" in done.stderr
    for suffix in (".onnx", ".pte", ".safetensors"):
        (tmp_path / f"x{suffix}").mkdir()
        done = run_command("predict", tmp_path / f"x{suffix}", PHOTO)
        assert done.code == 3
        assert f"x{suffix} is a directory" in done.stderr


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become somebody else"
)
def test_what_may_not_be_read_is_named_once(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    photo = tmp_path / "photo.png"
    photo.write_bytes(b"x")
    photo.chmod(0)
    script = (
        "import sys; from pathlib import Path\n"
        "from sqsam_deploy.datasets.images import read_image\n"
        "import os; os.setuid(65534)\n"
        "read_image(Path(sys.argv[1]))"
    )
    command = [sys.executable, "-c", script, photo.name]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert last.endswith("image photo.png cannot be read: Permission denied")


def test_onnxruntime_is_told_to_report_nothing(tmp_path: Path) -> None:
    """It keeps an identifier of the machine in the user's cache where it reports."""
    environment = {k: v for k, v in os.environ.items() if k != "ORT_DISABLE_TELEMETRY"}
    environment |= {"HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    script = "import sqsam_deploy.runtimes, onnxruntime"
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
    assert not list(tmp_path.rglob("*.onnxruntime*"))

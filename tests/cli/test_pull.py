import json
import os
import re
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from semver import Version

from sqsam_deploy.release.publish import publish
from sqsam_deploy.release.request import PublishRequest
from sqsam_deploy.release.store import FolderStore
from tests.commands import Command, run_command
from tests.release.export_builder import ExportBuilder


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cli-store")
    for seed, version in enumerate((Version(1, 0, 0), Version(1, 1, 0))):
        export = ExportBuilder()(folder / f"export-{seed}", seed=seed)
        publish(FolderStore(folder / "store"), PublishRequest(export, version=str(version)))
    return folder / "store"


@pytest.fixture
def pull(published: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Command:
    """`sqsam-pull` in an empty project, with store and cache named by the environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SQSAM_STORE", str(published))
    monkeypatch.setenv("SQSAM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    return partial(run_command, "pull")


def digest_of(directory: Path) -> dict[str, bytes]:
    return {str(p.relative_to(directory)): p.read_bytes() for p in directory.rglob("*.pte")}


def test_bare_name_brings_the_latest_version(pull: Command, tmp_path: Path) -> None:
    said = pull("squeezesam-nano")
    assert said.code == 0
    assert "squeezesam-nano 1.1.0 is in squeezesam-nano" in said.stdout
    assert "hashes verified; the release is not signed" in said.stderr
    assert (tmp_path / "squeezesam-nano" / "nano-int8.mlpackage" / "Manifest.json").is_file()


def test_lock_file_pins_and_locked_reproduces(pull: Command, tmp_path: Path) -> None:
    pull("squeezesam-nano@1.0.0", "--runtime", "executorch", "-o", "models/a")
    pull("squeezesam-nano@1.1.0", "--precision", "int8", "-o", "b", "--format", "android-assets")
    lock = json.loads((tmp_path / "sqsam.lock").read_bytes())
    assert [(entry["output"], entry["version"]) for entry in lock["models"]] == [
        ("b", "1.1.0"),
        ("models/a", "1.0.0"),
    ]
    before = digest_of(tmp_path / "b") | digest_of(tmp_path / "models")
    for folder in ("b", "models", "cache"):
        shutil.rmtree(tmp_path / folder)
    assert pull("--locked").code == 0
    assert digest_of(tmp_path / "b") | digest_of(tmp_path / "models") == before
    assert json.loads((tmp_path / "sqsam.lock").read_bytes()) == lock


def test_two_runtimes_are_pulled_and_pinned_together(pull: Command, tmp_path: Path) -> None:
    both = ("--runtime", "executorch", "--runtime", "onnx", "--precision", "int8", "-o", "both")
    done = pull("squeezesam-nano", *both)
    assert done.code == 0
    manifest = json.loads((tmp_path / "both" / "manifest.json").read_bytes())
    found = {(e["metadata"]["runtime"], e["metadata"]["precision"]) for e in manifest["artifacts"]}
    assert found == {("executorch", "int8"), ("onnx", "int8")}
    assert 'Gradle: implementation("org.pytorch:executorch-android:' in done.stdout
    assert "https://github.com/microsoft/onnxruntime-swift-package-manager" in done.stdout
    (pinned,) = json.loads((tmp_path / "sqsam.lock").read_bytes())["models"]
    assert (pinned["runtime"], pinned["precision"]) == (["executorch", "onnx"], "int8")
    before = digest_of(tmp_path / "both")
    shutil.rmtree(tmp_path / "both")
    assert pull("--locked").code == 0
    assert digest_of(tmp_path / "both") == before


def test_pulling_again_replaces_the_entry_of_that_directory(pull: Command, tmp_path: Path) -> None:
    pull("squeezesam-nano@1.0.0", "-o", "a")
    pull("squeezesam-nano@1.1.0", "-o", "a")
    lock = json.loads((tmp_path / "sqsam.lock").read_bytes())
    assert [entry["version"] for entry in lock["models"]] == ["1.1.0"]


def test_offline_uses_the_cache(pull: Command, tmp_path: Path) -> None:
    assert pull("squeezesam-nano", "--offline").code == 3
    pull("squeezesam-nano")
    shutil.rmtree(tmp_path / "squeezesam-nano")
    said = pull("squeezesam-nano", "--offline")
    assert said.code == 0
    assert "was 1.1.0 when it was last seen" in said.stderr


def test_a_narrow_list_has_names_versions_and_dates_whole(
    pull: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.setenv("FORCE_COLOR", "1")  # as on a terminal
    words = pull("list").stdout.split()
    assert {"squeezesam-nano", "1.0.0", "1.1.0"} <= set(words)
    assert any(re.fullmatch(r"20\d\d-\d\d-\d\d", word) for word in words)


def test_list_shows_versions_tags_and_what_is_in_them(pull: Command) -> None:
    said = pull("list", "squeezesam-nano")
    assert said.code == 0
    rows = [line for line in said.stdout.splitlines() if "squeezesam-nano" in line]
    assert "1.1.0" in rows[0]
    assert "latest" in rows[0]
    assert "1.0.0" in rows[1]
    assert pull("list", "other").code == 2


def test_diff_shows_what_changed(pull: Command) -> None:
    said = pull("diff", "squeezesam-nano@1.0.0", "@1.1.0")
    assert said.code == 0
    changed = [line for line in said.stdout.splitlines() if "nano-int8.onnx" in line]
    assert "changed" in changed[0]
    assert "+0.21 [+0.05, +0.37]" in changed[0]
    same = pull("diff", "squeezesam-nano@1.0.0", "squeezesam-nano@1.0.0").stdout
    assert "changed" not in same


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        ([], 2, "say what to pull"),
        (["squeezesam-nano", "--format", "rar"], 2, "choose plain, zip, swift-package"),
        (["squeezesam-nano", "--runtime", "tflite"], 2, "has no tflite: it has executorch int8"),
        (["squeezesam-nano", "--runtime", "onnx", "--runtime", "tflite"], 2, "has no tflite: it"),
        (["squeezesam-nano", "--verify-key", "none.pem"], 2, "none.pem is no file"),
        (["squeezesam-nano", "--verify-key", "x", "--identity", "y"], 2, "exclude each other"),
        (["squeezesam-nano", "--identity-issuer", "y"], 2, "--identity, which is missing"),
        (["--locked"], 2, "sqsam.lock does not exist"),
        (["--locked", "--runtime", "onnx"], 2, "--locked takes runtime"),
        (["squeezesam-nano@7.0.0"], 3, "versions are 1.0.0, 1.1.0; tags latest"),
        (["other"], 3, "its models are squeezesam-nano"),
        (["Bad/Name"], 2, "cannot name a model"),
    ],
)
def test_each_mistake_is_one_sentence_and_its_exit_code(
    arguments: list[str], code: int, reason: str, pull: Command, tmp_path: Path
) -> None:
    said = pull(*arguments)
    assert said.code == code
    assert reason in said.stderr
    assert said.stderr.startswith("error: ")
    assert said.stderr.count("\n") == 1
    assert not (tmp_path / "squeezesam-nano").exists()


def test_no_store_is_said(pull: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SQSAM_STORE")
    said = pull("squeezesam-nano")
    assert said.code == 2
    assert "--store URL, or the variable SQSAM_STORE" in said.stderr


def test_pulling_needs_no_machine_learning_library(published: Path, tmp_path: Path) -> None:
    """An app team's machine has none, and importing one takes seconds."""
    script = (
        "import sys; sys.argv = ['sqsam-pull', *sys.argv[1:]]\n"
        "from sqsam_deploy.cli.pull import main\n"
        "try: main()\n"
        "except SystemExit as ended: assert not ended.code\n"
        "heavy = {'torch', 'executorch', 'coremltools', 'onnxruntime'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    command = [sys.executable, "-c", script, "squeezesam-nano", "--store", str(published)]
    environment = os.environ | {"SQSAM_CACHE": str(tmp_path / "cache")}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr

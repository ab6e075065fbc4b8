import json
from functools import partial
from pathlib import Path

import pytest

from tests.commands import Command, run_command
from tests.release.export_builder import ExportBuilder


@pytest.fixture
def publish(monkeypatch: pytest.MonkeyPatch) -> Command:
    monkeypatch.delenv("SQSAM_STORE", raising=False)
    return partial(run_command, "publish")


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return ExportBuilder()(tmp_path / "export")


def test_publishing_says_what_is_where(publish: Command, export: Path, tmp_path: Path) -> None:
    said = publish(export, tmp_path / "store", "--release", "1.0.0", "--tag", "stable")
    assert said.code == 0
    manifest = json.loads((export / "manifest.json").read_bytes())
    names = ", ".join(entry["path"] for entry in manifest["artifacts"])
    assert f"squeezesam-nano 1.0.0 is in {tmp_path / 'store'}: {names}" in said.stdout
    assert "not signed" in said.stderr
    index = json.loads((tmp_path / "store" / "index.json").read_bytes())
    assert index["models"]["squeezesam-nano"]["tags"] == {"latest": "1.0.0", "stable": "1.0.0"}
    assert "already" in publish(export, tmp_path / "store", "--release", "1.0.0").stdout


def test_a_dry_run_checks_everything_and_writes_nothing(
    publish: Command, export: Path, tmp_path: Path
) -> None:
    store, words = tmp_path / "store", ("--release", "1.0.0", "--tag", "stable", "--json")
    there = {path: path.read_bytes() for path in export.rglob("*") if path.is_file()}
    rehearsed = json.loads(publish(export, store, *words, "--dry-run").stdout)["result"]
    assert not store.exists()
    assert {path: path.read_bytes() for path in export.rglob("*") if path.is_file()} == there
    published = json.loads(publish(export, store, *words).stdout)["result"]
    assert (rehearsed["published"], published["published"]) == (False, True)
    # What it showed is what was published, but for the time.
    for result in (rehearsed, published):
        del result["release"]["published"]
    assert rehearsed["release"] == published["release"]
    again = publish(export, store, "--release", "1.0.0", "--dry-run")
    assert "already" in again.stdout
    assert publish(export, store, "--release", "1.0.1", "--dry-run").code == 0
    assert not (store / "models/squeezesam-nano/1.0.1").exists()


@pytest.mark.parametrize(
    ("file", "content", "code"),
    [
        ("parity.json", '{"schema": "sqsam-parity/1", "passed": false, "artifacts": {}}', 1),
        ("nano-int8.pte", "other", 3),
    ],
)
def test_a_dry_run_finds_what_would_be_refused(
    file: str, content: str, code: int, publish: Command, export: Path, tmp_path: Path
) -> None:
    (export / file).write_text(content)
    said = publish(export, tmp_path / "store", "--release", "1.0.0", "--dry-run")
    assert said.code == code
    assert not (tmp_path / "store").exists()


def test_failed_gate_is_exit_code_1(publish: Command, export: Path, tmp_path: Path) -> None:
    (export / "parity.json").write_text(
        '{"schema": "sqsam-parity/1", "passed": false, "artifacts": {}}'
    )
    said = publish(export, tmp_path / "store", "--release", "1.0.0")
    assert said.code == 1
    assert said.stderr.splitlines()[-1].startswith("error: the parity gate did not pass")
    allowed = publish(export, tmp_path / "store", "--release", "1.0.0", "--allow-unverified")
    assert allowed.code == 0
    assert "warning: unverified, the parity gate did not pass" in allowed.stderr


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--release", "1.2"], "'1.2' is not a semantic version"),
        (["--release", "1.2.0", "--sign-key", "missing.pem"], "missing.pem is no file"),
        (["--release", "1.2.0", "--sign-key", "x", "--keyless"], "exclude each other"),
        (["--release", "1.2.0", "--tag", "../x"], "cannot be a tag"),
        (["--release", "1.2.0", "--tag", "latest"], "latest always names"),
    ],
)
def test_wrong_usage_is_exit_code_2(
    options: list[str], reason: str, publish: Command, export: Path, tmp_path: Path
) -> None:
    said = publish(export, tmp_path / "store", *options)
    assert said.code == 2
    assert reason in said.stderr
    assert not (tmp_path / "store" / "models").exists()


def test_directory_that_does_not_match_is_exit_code_3(
    publish: Command, export: Path, tmp_path: Path
) -> None:
    (export / "nano-int8.pte").write_bytes(b"other")
    said = publish(export, tmp_path / "store", "--release", "1.0.0")
    assert said.code == 3
    assert "nano-int8.pte has 5 bytes where the manifest says 5000" in said.stderr


def test_tag_moves_and_index_is_rebuilt(publish: Command, export: Path, tmp_path: Path) -> None:
    store = tmp_path / "store"
    publish(export, store, "--release", "1.0.0")
    assert publish("tag", store, "squeezesam-nano@1.0.0", "stable").code == 0
    assert (store / "models/squeezesam-nano/tags/stable").read_text() == "1.0.0\n"
    before = (store / "index.json").read_bytes()
    (store / "index.json").unlink()
    said = publish("rebuild-index", store)
    assert said.stdout == "index.json lists 1 versions of 1 models\n"
    assert (store / "index.json").read_bytes() == before
    assert publish("tag", store, "squeezesam-nano@2.0.0", "stable").code == 3
    assert publish("tag", store, "squeezesam-nano", "stable").code == 2


def test_help_names_the_other_commands(publish: Command) -> None:
    said = publish("--help")
    assert said.code == 0
    assert "rebuild-index" in said.stdout


def test_version_alone_is_the_programs(publish: Command) -> None:
    from sqsam_deploy import version

    assert publish("--version").stdout == f"sqsam-deploy {version.__version__}\n"

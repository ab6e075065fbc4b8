"""`--json` and `--quiet`: one document, and silence, of every command."""

import json
import re
import tomllib
from importlib import import_module
from pathlib import Path

import jsonschema
import pytest

from sqsam_deploy.checkpoint import bundled_checkpoint
from sqsam_deploy.datasets import bundled_dataset
from tests.commands import Done, run_command

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "sqsam_deploy/cli/schema/output-1.json").read_text())
GOLDEN = ROOT / "tests/release/golden/v2/store"
PHOTO = bundled_dataset("sample").images[0].path
#: Every command that is installed: the scripts of pyproject.toml.
VERBS = sorted(
    name.removeprefix("sqsam-")
    for name in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
)


def _document(done: Done) -> dict:
    document = json.loads(done.stdout)
    jsonschema.validate(document, SCHEMA)
    assert document["exit_code"] == done.code
    return document


def _commands() -> list[tuple[str, ...]]:
    """Every command and subcommand there is."""
    found: list[tuple[str, ...]] = []
    for verb in VERBS:
        app = import_module(f"sqsam_deploy.cli.{verb}").app
        found += [(verb,), *((verb, name) for name in app if not name.startswith("-"))]
    return found


def test_the_schema_lists_every_command_there_is() -> None:
    commands = {f"sqsam-{' '.join(words)}" for words in _commands()}
    assert set(SCHEMA["properties"]["command"]["enum"]) == commands


@pytest.mark.parametrize("words", _commands(), ids=" ".join)
def test_every_help_lists_both_options(words: tuple[str, ...]) -> None:
    shown = run_command(*words, "--help", environment={"COLUMNS": "200"})
    assert shown.code == 0
    for option in ("--json", "--quiet", "-q", "--help"):
        assert re.search(rf"(?m)^│[^│]*{option}\b", shown.stdout), shown.stdout
    assert shown.stdout.startswith(f"Usage: sqsam-{' '.join(words)} ")


def test_the_document_describes_every_key_that_the_schema_requires() -> None:
    rows = (ROOT / "docs/output.md").read_text().splitlines()
    described = set(re.findall(r"`([a-z_]+)`", " ".join(row for row in rows if "|" in row)))
    required = {
        key
        for rule in SCHEMA["allOf"]
        for option in rule["then"]["properties"]["result"]["anyOf"]
        for key in option.get("required", ())
    }
    assert len(required) > 20
    assert required <= described


@pytest.mark.parametrize("verb", VERBS)
def test_wrong_usage_is_a_document_too(verb: str) -> None:
    done = run_command(verb, "--json", "--nonsense")
    document = _document(done)
    assert (document["command"], done.code, document["result"]) == (f"sqsam-{verb}", 2, None)
    assert f"error: {document['error']}\n" == done.stderr


def test_a_result_is_what_the_command_found(tmp_path: Path) -> None:
    document = _document(run_command("inspect", "nano", "--json"))
    assert document["result"]["bytes"] == bundled_checkpoint("nano").stat().st_size
    runtimes = _document(run_command("export", "--list-runtimes", "--json"))["result"]["runtimes"]
    assert {"executorch", "coreml", "onnx"} <= {each["name"] for each in runtimes}
    listed = _document(run_command("pull", "list", "--store", GOLDEN, "--json"))
    assert listed["command"] == "sqsam-pull list"
    assert set(listed["result"]["models"]["squeezesam-nano"]["versions"]) == {"1.0.0", "1.1.0"}
    pulled = run_command(
        *("pull", "squeezesam-nano@1.0.0", "--store", GOLDEN, "-o", tmp_path / "m", "--json"),
        cwd=tmp_path,
    )
    (release,) = _document(pulled)["result"]["releases"]
    assert all((Path(release["directory"]) / name).exists() for name in release["artifacts"])


def test_of_some_photos_that_fail_the_others_are_in_the_result(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / PHOTO.name).write_bytes(PHOTO.read_bytes())
    (tmp_path / "photos" / "bad.jpg").write_bytes(b"no photo")
    words = ("nano", tmp_path / "photos", "--auto", "-o", tmp_path / "out")
    document = _document(run_command("predict", *words, "--json"))
    assert document["exit_code"] == 3
    (cutout,), (failure,) = document["result"]["cutouts"], document["result"]["failures"]
    assert all(Path(file).is_file() for file in cutout["files"])
    assert failure["photo"].endswith("bad.jpg")


def test_quiet_leaves_errors_alone(tmp_path: Path) -> None:
    said = run_command("predict", "nano", PHOTO, "--auto", "-o", tmp_path, "--quiet")
    assert (said.code, said.stdout, said.stderr) == (0, "", "")
    assert (tmp_path / f"{PHOTO.stem}-mask.png").is_file()
    failed = run_command("inspect", "-q", tmp_path / "none.pt")
    assert failed.code == 3
    assert failed.stderr.startswith("error: ")
    assert failed.stdout == ""


def test_behind_two_dashes_they_are_words(tmp_path: Path) -> None:
    done = run_command("inspect", "--", "--json")
    assert done.code == 3 or done.code == 2
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("weights", "precision", "runtime"),
    [("nano", "int8", "onnx"), ("nano", "fp32", "executorch"), ("nano", "fp16", "executorch")],
)
def test_a_dry_run_of_an_export_builds_nothing(tmp_path: Path, weights, precision, runtime) -> None:
    words = ("--checkpoint", weights, f"--{precision}", "--runtime", runtime, "--dry-run")
    document = _document(run_command("export", *words, "--json", cwd=tmp_path))
    plan = document["result"]["plan"]
    assert not list(tmp_path.iterdir())
    sizes = {entry["path"]: entry["estimated_bytes"] for entry in plan["artifacts"]}
    # Of today's nano, in bytes: what such exports weigh.
    known = {
        "nano-int8.onnx": 3_119_277,
        "nano-fp32.pte": 11_595_920,
        "nano-fp16.pte": 5_846_408,
        "saliency-int8.onnx": 1_037_981,
        "saliency-fp32.pte": 3_867_012,
        "saliency-fp16.pte": 1_948_290,
    }
    assert len(sizes) == 2
    for name, estimate in sizes.items():
        assert estimate == pytest.approx(known[name], rel=0.1)

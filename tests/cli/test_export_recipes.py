"""`sqsam-export --recipe`, `--list-recipes` and `--check-reproducible`, as a user runs them."""

import hashlib
import json
import re
import shutil
import socket
from datetime import date, timedelta
from pathlib import Path

import pytest
import torch

from sqsam_deploy.artifact.manifest import Manifest, read_manifest
from sqsam_deploy.checkpoint import load_checkpoint
from sqsam_deploy.datasets import bundled_dataset
from sqsam_deploy.pipeline import reproducibility
from sqsam_deploy.pipeline.rebuild import RebuildSource, checked_request
from sqsam_deploy.runtimes import read_metadata
from tests.commands import run_command

RECIPE = """\
summary = "An int8 network with a float head"
saliency = false

[[artifact]]
runtime = "onnx"
precision = "int8"
keep_float = ["mask_head.*"]
name = "float-head"
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The export of the recipe above."""
    folder = tmp_path_factory.mktemp("recipe")
    (folder / "mine.toml").write_text(RECIPE)
    out = folder / "out"
    torch.save({"model": load_checkpoint("nano").model.state_dict()}, folder / "mine.pt")
    photos = next(iter(bundled_dataset("calibration"))).path.parent
    shutil.copytree(photos, folder / "photos")
    arguments = ("--checkpoint", "mine.pt", "--calibration", "photos", "--recipe", "mine.toml")
    arguments += ("--calibration-size", 2, "--seed", 5, "-o", out)
    done = run_command("export", *arguments, cwd=folder)
    assert done.code == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def manifest(built: Path) -> Manifest:
    return read_manifest(built)


def test_a_recipe_builds_what_it_says_and_nothing_else(built: Path, manifest: Manifest) -> None:
    (artifact,) = manifest.artifacts
    assert artifact.path == "nano-float-head.onnx"
    assert read_metadata(built / artifact.path).precision == "int8"
    assert manifest.recipe == "mine"
    assert manifest.saliency_weights is None


def test_modules_that_the_recipe_names_stay_in_float(built: Path) -> None:
    report = json.loads((built / "quantization.json").read_text())
    head = "mask_head.mask_mlps.0.hidden.0"
    assert head in {layer["name"] for layer in report["kept_float"]}
    names = {layer["name"] for layer in report["layers"]}
    assert names and not any(name.startswith("mask_head.") for name in names)


def test_the_manifest_says_how_to_build_it_again(manifest: Manifest) -> None:
    (artifact,) = manifest.artifacts
    assert artifact.build is not None
    assert artifact.build.keep_float == ("mask_head.*",)
    assert artifact.build.name == "float-head"
    assert manifest.calibration is not None
    assert (manifest.calibration.images, manifest.calibration.seed) == (2, 5)


def test_the_manifest_names_the_weights_and_photos_that_were_given(
    built: Path, manifest: Manifest
) -> None:
    content = (built.parent / "mine.pt").read_bytes()
    assert manifest.weights.name == "mine.pt"
    assert manifest.weights.sha256 == hashlib.sha256(content).hexdigest()
    assert manifest.calibration is not None
    assert manifest.calibration.source == "photos"


def test_a_byte_that_differs_is_found(
    built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of the files made again; that they are the same otherwise, the chain's test shows."""

    def copied(manifest: Manifest, source: RebuildSource, output: Path) -> None:
        request = checked_request(manifest, source, output)
        assert [target.keep_float for target in request.targets] == [("mask_head.*",)]
        shutil.copytree(built, request.output)

    monkeypatch.setattr(reproducibility, "rebuild", copied)
    changed = tmp_path / "changed"
    shutil.copytree(built, changed)
    file = changed / "nano-float-head.onnx"
    content = bytearray(file.read_bytes())
    content[54321] ^= 1
    file.write_bytes(content)
    given = ("--checkpoint", built.parent / "mine.pt", "--calibration", built.parent / "photos")
    done = run_command("export", "--check-reproducible", changed, *given)
    assert done.code == 1, done.stderr
    assert re.search(r"nano-float-head\.onnx +\d+ +differs from byte 54321 on", done.stdout)
    assert re.search(r"quantization\.json +\d+ +same", done.stdout)
    assert "is not what was built again: 1 of 2 files differ" in done.stderr


def test_no_byte_tells_where_when_or_by_whom_it_was_made(nano_export: Path) -> None:
    paths = re.compile(rb"(?<![\w.:/])/(home|root|Users|tmp|var|private|work|opt|mnt|usr)/[\w.-]")
    days = [(date.today() - timedelta(days=back)).isoformat().encode() for back in (0, 1)]
    host = socket.gethostname().encode()
    for entry in read_manifest(nano_export).all_files():
        content = (nano_export / entry.path).read_bytes()
        assert not paths.search(content), entry.path
        assert not any(day in content for day in days), entry.path
        # Two or three letters occur in any megabyte of weights.
        assert len(host) < 6 or host not in content, entry.path


def test_the_recipes_are_listed_with_their_summaries() -> None:
    done = run_command("export", "--list-recipes", environment={"COLUMNS": "200"})
    assert done.code == 0, done.stderr
    for line in (
        r"iphone-cpu +ExecuTorch int8 .* executorch int8",
        r"iphone-neural-engine +Core ML .* coreml int8 fp16",
        r"server-onnx .* onnx int8 fp32",
    ):
        assert re.search(line, done.stdout)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ("--recipe", "iphone-cpu", "--int8", "--no-saliency"),
            "--recipe says what to build: leave out --int8 and --no-saliency",
        ),
        (
            ("--recipe", "iphone-cpu", "--runtime", "onnx"),
            "--recipe says what to build: leave out --runtime",
        ),
        (("--recipe", "iphone"), "there is no recipe 'iphone': choose from all, android-cpu"),
        (
            ("--check-reproducible", "out", "--recipe", "all", "--seed", "0"),
            "--check-reproducible follows the manifest: leave out --recipe and --seed",
        ),
    ],
)
def test_wrong_usage_is_refused_in_one_sentence(
    arguments: tuple[str, ...], sentence: str, tmp_path: Path
) -> None:
    done = run_command("export", *arguments, cwd=tmp_path)
    assert done.code == 2, done.stderr
    assert sentence in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_pattern_that_no_module_matches(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(RECIPE.replace("mask_head", "mask_hed"))
    done = run_command("export", "--checkpoint", "nano", "--recipe", "mine.toml", cwd=tmp_path)
    assert done.code == 2, done.stderr
    assert "keep_float: no module of the nano network is called 'mask_hed.*'" in done.stderr
    assert not (tmp_path / "artifacts").exists()


def test_checking_a_directory_without_a_manifest(tmp_path: Path) -> None:
    done = run_command("export", "--check-reproducible", tmp_path)
    assert done.code == 3, done.stderr
    assert "has no manifest.json" in done.stderr

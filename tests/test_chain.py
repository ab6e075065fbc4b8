"""The whole way on real files: export, parity, publish, pull, and then use what was pulled."""

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sqsam_deploy._internal.workers import usable_cores
from sqsam_deploy.artifact.manifest import read_manifest, verify_files
from sqsam_deploy.datasets import bundled_dataset
from sqsam_deploy.runtimes import read_metadata
from tests.commands import elsewhere, run_command, run_process
from tests.limits import on_cores
from tests.release.export_builder import keep_artifacts

#: Far below what the weights reach on the bundled sample with a box (0.75): the floor of "works".
LEAST_BOX_MIOU = 70.0
MEASURED = ("nano-int8.pte", "nano-int8.onnx")


@pytest.fixture(scope="module")
def verified(nano_export: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a parity report over every segmentation artifact of the export."""
    report = tmp_path_factory.mktemp("parity")
    # The bounds of so few photos are wide, whatever they show.
    done = run_command(
        *("parity", nano_export, "--prompts", "box", "--count", "12", "--jobs", "1"),
        *("--max-drift", "20", "--min-agreement", "0.8", "--output", report),
    )
    assert done.code == 0, done.stdout + done.stderr
    return report


@pytest.fixture(scope="module")
def measured(nano_export: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The result file of a short benchmark of two artifacts of the export."""
    folder = tmp_path_factory.mktemp("bench")
    two = keep_artifacts(shutil.copytree(nano_export, folder / "two"), MEASURED.__contains__)
    done = run_process(
        *("bench", two, "--threads", "1", "--rounds", "3", "--processes", "1"),
        *("--no-torch", "--no-peak", "--no-profile", "--output", folder),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (file,) = folder.glob("*.json")
    return file


@pytest.fixture(scope="module")
def pulled(
    nano_export: Path, verified: Path, measured: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The release of that export, published to a folder and pulled from there."""
    folder = tmp_path_factory.mktemp("release")
    store = folder / "store"
    parity = verified / "parity.json"
    done = run_command(
        *("publish", nano_export, store, "--release", "1.0.0", "--name", "cutter"),
        *("--parity", parity, "--bench", measured, "--tag", "stable"),
    )
    assert done.code == 0, done.stdout + done.stderr
    environment = {"XDG_CACHE_HOME": str(folder / "cache")}
    done = run_command(
        *("pull", "cutter@stable", "--store", store, "--output", folder / "models"),
        cwd=folder,
        environment=environment,
    )
    assert done.code == 0, done.stdout + done.stderr
    return folder / "models"


@pytest.mark.parametrize("artifact", ["nano-int8.pte", "nano-int8.onnx", "nano-int8.mlpackage"])
def test_masks_of_every_runtime_are_good_in_absolute_terms(verified: Path, artifact: str) -> None:
    report = json.loads((verified / "parity.json").read_text(encoding="utf-8"))
    (box,) = [row for row in report["artifacts"][artifact]["miou"] if row["kind"] == "box"]
    assert box["overall"] > LEAST_BOX_MIOU


def test_a_pulled_release_holds_the_exported_bytes(nano_export: Path, pulled: Path) -> None:
    for name in ("nano-int8.pte", "nano-int8.onnx", "saliency-int8.onnx"):
        assert (pulled / name).read_bytes() == (nano_export / name).read_bytes()
    package = "nano-int8.mlpackage/Data/com.apple.CoreML/weights/weight.bin"
    assert (pulled / package).read_bytes() == (nano_export / package).read_bytes()


@pytest.mark.parametrize("prompt", [("--box",), ("--auto",)])
def test_a_pulled_artifact_cuts_an_object_out(
    pulled: Path, tmp_path: Path, prompt: tuple[str, ...]
) -> None:
    record = next(iter(bundled_dataset("sample")))
    largest = max(record.objects, key=lambda item: item.area)
    if prompt == ("--box",):
        prompt = ("--box", ",".join(str(edge) for edge in largest.box))
    done = run_command(
        "predict", pulled / "nano-int8.pte", record.path, *prompt, "-o", tmp_path / "out"
    )
    assert done.code == 0, done.stdout + done.stderr
    (mask_file,) = (tmp_path / "out").glob("*mask*.png")
    mask, truth = np.asarray(Image.open(mask_file).convert("L")) > 127, largest.mask()
    assert np.count_nonzero(mask & truth) / np.count_nonzero(mask | truth) > 0.5


def test_pulled_artifacts_describe_themselves_as_exported(nano_export: Path, pulled: Path) -> None:
    exported = {entry.path: entry.metadata for entry in read_manifest(nano_export).artifacts}
    verify_files(pulled, read_manifest(pulled))
    assert {name: read_metadata(pulled / name) for name in exported} == exported


def test_a_pulled_artifact_says_what_it_is(pulled: Path) -> None:
    done = run_command("inspect", pulled / "nano-int8.mlpackage")
    assert done.code == 0, done.stderr
    assert "coreml" in done.stdout.lower()
    assert "int8" in done.stdout


def test_a_release_states_the_drift_and_the_latencies_that_were_measured(
    pulled: Path, verified: Path, measured: Path
) -> None:
    release = json.loads((pulled / "release.json").read_text(encoding="utf-8"))
    assert release["name"] == "cutter"
    assert release["verification"]["status"] == "passed"
    stated = {artifact["path"]: artifact for artifact in release["artifacts"]}
    parity = json.loads((verified / "parity.json").read_text(encoding="utf-8"))["artifacts"]
    rows = json.loads(measured.read_text(encoding="utf-8"))["measurements"]
    summaries = {row["subject"]["name"]: row["stages"]["inference"]["summary"] for row in rows}
    for name in MEASURED:
        (latency,) = stated[name]["latency"]
        assert latency["median"] == pytest.approx(summaries[name]["median"]["value"])
        assert stated[name]["drift"]["mean"] == parity[name]["drift"]["mean"]
    card = (pulled / "README.md").read_text(encoding="utf-8")
    assert f"{summaries['nano-int8.onnx']['median']['value']:.1f}" in card


def test_a_pulled_release_is_built_again_to_the_same_bytes(pulled: Path, tmp_path: Path) -> None:
    """Its larger network, in turn instead of side by side, with more threads, in another home."""
    release = shutil.copytree(pulled, tmp_path / "release")
    keep_artifacts(release, lambda path: path.startswith("nano-"))
    threads = int(os.environ.get("OMP_NUM_THREADS", usable_cores())) + 1
    environment = elsewhere(tmp_path) | {"OMP_NUM_THREADS": str(threads)}
    with on_cores(1):
        done = run_process("export", "--check-reproducible", release, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    count = len(read_manifest(release).all_files())
    assert count >= 8
    assert f"all {count} files" in done.stdout
    assert "differs" not in done.stdout

import contextlib
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from sqsam_deploy.artifact.manifest import Manifest, read_manifest, verify_files
from sqsam_deploy.datasets import bundled_dataset, load_image
from sqsam_deploy.predictor import Predictor
from sqsam_deploy.runtimes import open_session
from tests.commands import process_line, run_command

ARTIFACTS = {
    "nano-int8.pte": "executorch",
    "nano-int8.onnx": "onnx",
    "nano-int8.mlpackage": "coreml",
    "nano-int8-weights.mlpackage": "coreml",
}


@pytest.fixture(scope="module")
def manifest(nano_export: Path) -> Manifest:
    return read_manifest(nano_export)


def test_three_runtimes_are_written(manifest: Manifest) -> None:
    segmentation = {a.path: a.metadata.runtime for a in manifest.artifacts if "nano" in a.path}
    assert segmentation == ARTIFACTS


def test_the_manifest_names_every_byte(nano_export: Path, manifest: Manifest) -> None:
    verify_files(nano_export, manifest)
    listed = {entry.path: entry for entry in manifest.all_files()}
    found = {
        path.relative_to(nano_export).as_posix(): path
        for path in nano_export.rglob("*")
        if path.is_file() and path.name not in ("manifest.json", "report.html")
    }
    assert set(listed) == set(found)
    for name, path in found.items():
        assert hashlib.sha256(path.read_bytes()).hexdigest() == listed[name].sha256


def test_a_page_explains_every_artifact(nano_export: Path, manifest: Manifest) -> None:
    page = (nano_export / "report.html").read_text().replace("<wbr>", "")
    for artifact in manifest.artifacts:
        assert f"{artifact.path}</td>" in page
        assert artifact.sha256 in page
        assert f"{artifact.bytes:,}</td>" in page
    layers = json.loads((nano_export / "quantization.json").read_text())["layers"]
    assert page.count('<g class="mark ') == len(layers)
    assert f"1. {layers[0]['name']}</td>" in page
    assert page.count("data:image/jpeg") >= 4 * (2 + len(ARTIFACTS))


def test_every_artifact_was_executed_and_agrees(manifest: Manifest) -> None:
    for artifact in manifest.artifacts:
        assert artifact.agreement.prompts >= artifact.agreement.images >= 4
        # docs/exporting.md: 0.965 to 0.993; the gate's own limit leaves room for other weights.
        assert artifact.agreement.mean_mask_iou > 0.95 > artifact.agreement.limit


def test_each_runtime_cuts_out_the_same_object(nano_export: Path) -> None:
    record = next(r for r in bundled_dataset("sample") if r.objects)
    largest = max(record.objects, key=lambda item: item.area)
    image = load_image(record)
    masks = []
    for name in ARTIFACTS:
        predictor = Predictor(open_session(nano_export / name))
        predictor.set_image(image)
        masks.append(predictor.predict(box=largest.box, multimask_output=False).masks[0])
    for mask in masks[1:]:
        assert (masks[0] & mask).sum() / (masks[0] | mask).sum() > 0.97


def test_the_quantization_report_is_worst_first(nano_export: Path) -> None:
    layers = json.loads((nano_export / "quantization.json").read_text())["layers"]
    # A layer without any error, the pixels, has no ratio.
    ratios = [float("inf") if r is None else r for r in (layer["snr_db"] for layer in layers)]
    assert len(ratios) > 30
    assert ratios == sorted(ratios)


def test_the_int8_files_are_a_quarter_of_the_float_weights(manifest: Manifest) -> None:
    parameters = 2.93e6
    for artifact in manifest.artifacts:
        if artifact.path in ARTIFACTS:
            assert artifact.bytes < 1.35 * parameters


def _exit(code: int, sentence: str, *arguments: str | Path) -> None:
    done = run_command("export", *arguments)
    assert done.code == code, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_a_missing_checkpoint(tmp_path: Path) -> None:
    out = tmp_path / "out"
    _exit(3, "nothing.pt", "--checkpoint", tmp_path / "nothing.pt", "-o", out)
    assert not out.exists()


def test_an_unknown_runtime(tmp_path: Path) -> None:
    _exit(2, "unknown runtime 'tflite'", "--runtime", "tflite", "-o", tmp_path / "o")


def test_an_output_directory_of_something_else(tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("years of work")
    _exit(2, "holds other files", "--fp32", "--runtime", "onnx", "-o", tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]


def test_calibration_data_that_is_not_there(tmp_path: Path) -> None:
    out = tmp_path / "out"
    _exit(3, "nowhere", "--calibration", tmp_path / "nowhere", "-o", out)
    assert not out.exists()


@contextlib.contextmanager
def _small_files_only() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_no_room_for_the_files(tmp_path: Path) -> None:
    """A file that may not grow stands for a full disk: the write fails half way."""
    out = tmp_path / "out"
    arguments = ("--checkpoint", "nano", "--fp32", "--runtime", "onnx", "--no-saliency", "-o", out)
    with _small_files_only():
        done = run_command("export", *arguments)
    assert done.code == 3, done.stderr
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="artifacts appear one by one where it forks")
@pytest.mark.parametrize(("how", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_an_interrupted_export_leaves_what_was_there(
    how: signal.Signals, code: int, tmp_path: Path
) -> None:
    """Ctrl-C reaches every process of a terminal's group, a kill only the one that is killed."""
    out, temporary = tmp_path / "project" / "out", tmp_path / "temporary"
    for folder in (out, temporary):
        folder.mkdir(parents=True)
    earlier = {"manifest.json": b"{}", "nano-fp32.onnx": b"the artifact of last week"}
    for name, content in earlier.items():
        (out / name).write_bytes(content)
    words = ("--checkpoint", "nano", "--fp32", "--runtime", "onnx", "--no-saliency", "-o", out)
    running = subprocess.Popen(
        process_line("export", *words),
        env=os.environ | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell's background jobs ignore Ctrl-C, and so does all that they start.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    while not list(out.parent.glob(".out*/*.onnx")):
        assert running.poll() is None, running.communicate()
        time.sleep(0.01)
    if how == signal.SIGINT:
        os.killpg(running.pid, how)
    else:
        running.send_signal(how)
    _, said = running.communicate(timeout=60)
    assert running.returncode == code, said
    assert "Traceback" not in said
    assert {path.name: path.read_bytes() for path in out.iterdir()} == earlier
    if how == signal.SIGINT:
        assert [path.name for path in out.parent.iterdir()] == ["out"]
        assert list(temporary.glob("sqsam-*")) == []


def test_a_network_that_int8_ruins_is_refused(tmp_path: Path) -> None:
    """Channels of wildly different size in one tensor leave int8 nothing to tell them apart by."""
    from sqsam_deploy.checkpoint import load_checkpoint, save_checkpoint

    checkpoint = load_checkpoint("nano")
    norm = checkpoint.model.encoder.stem[0].norm
    with np.errstate(all="ignore"):
        norm.weight.data[0] *= 3e4
        checkpoint.model.encoder.stem[1].conv.weight.data[:, 0] /= 3e4
    save_checkpoint(checkpoint.model, tmp_path / "odd.safetensors", {})
    out = tmp_path / "out"
    arguments = ("--int8", "--runtime", "onnx", "--checkpoint", tmp_path / "odd.safetensors")
    arguments += ("--no-saliency", "--calibration-size", "4")
    # More noise than signal: with as few photos the sound network is 20 dB above it.
    _exit(1, "differ from the float network's: -", *arguments, "-o", out)
    assert not out.exists()

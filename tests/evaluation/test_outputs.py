"""`sqsam-parity outputs`: what differs between two machines is found, counted and gated."""

import json
import os
import shutil
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from box_runtime import write_boxes

from sqsam_deploy.runtimes.onnx.processor import this_one_saturates
from tests.commands import Done, run_command

call = partial(run_command, "parity", "outputs")

PROGRAMS = Path(__file__).parents[2] / "benchmarks/arm64"
#: Where that program sets the session's options.
CREATED = "options = onnxruntime.SessionOptions()"
ARM64 = Path(os.environ.get("SQSAM_ARM64_ROOT", "arm64"))


def differences(done: Done) -> list[dict]:
    return json.loads(done.stdout)["result"]["differences"]


@pytest.fixture
def artifacts(tmp_path: Path) -> Path:
    folder = tmp_path / "artifacts"
    folder.mkdir()
    write_boxes(folder / "a.boxes", "int8")
    return folder


@pytest.fixture
def saved(artifacts: Path, tmp_path: Path) -> Path:
    assert call(artifacts, "--save", tmp_path / "outputs.npz", "--photos", 3).code == 0
    return tmp_path / "outputs.npz"


def changed(file: Path, **arrays: np.ndarray) -> None:
    """Rewrites arrays of the artifact `a.boxes` in a file."""
    with np.load(file) as stored:
        kept = dict(stored)
    np.savez(file, **(kept | {f"a.boxes/{name}": value for name, value in arrays.items()}))


def logits(file: Path) -> np.ndarray:
    with np.load(file) as stored:
        return stored["a.boxes/low_res_masks"]


def test_the_same_machine_computes_the_same_bits(artifacts: Path, saved: Path) -> None:
    done = call(artifacts, "--against", saved, "--min-agreement", 1, "--json")
    assert done.code == 0
    (found,) = differences(done)
    assert (found["artifact"], found["prompts"]) == ("a.boxes", 12)
    assert found["logits"] == logits(saved).size
    assert (found["different_logits"], found["lowest_agreement"]) == (0, 1)


def test_logits_that_move_no_mask_are_counted(artifacts: Path, saved: Path) -> None:
    values = logits(saved)
    values[0, 1, 0, :5] += 0.25
    changed(saved, low_res_masks=values)
    done = call(artifacts, "--against", saved, "--json")
    assert done.code == 0
    (found,) = differences(done)
    assert (found["different_logits"], found["different_pixels"]) == (5, 0)
    assert found["largest_difference"] == pytest.approx(0.25)


def test_a_mask_that_moves_fails(artifacts: Path, saved: Path) -> None:
    """A row of the last prompt's mask, which is all of the image, is another there."""
    values = logits(saved)
    side = values.shape[-1]
    assert (values[-1, 1] > 0).all()
    values[-1, 1, 0] = -1
    changed(saved, low_res_masks=values)
    done = call(artifacts, "--against", saved, "--min-agreement", 0.999, "--json")
    assert done.code == 1
    (found,) = differences(done)
    assert (found["different_pixels"], found["disagreements"]) == (side, 1)
    assert found["lowest_agreement"] == pytest.approx(1 - 1 / side)
    assert call(artifacts, "--against", saved, "--min-agreement", 0.99).code == 0


def test_another_choice_among_the_masks_fails(artifacts: Path, saved: Path) -> None:
    with np.load(saved) as stored:
        ious = stored["a.boxes/iou_predictions"]
    ious[0] = ious[0, ::-1]
    changed(saved, iou_predictions=ious)
    done = call(artifacts, "--against", saved)
    assert done.code == 1
    assert "1 of a.boxes" in done.stdout


def test_what_cannot_be_compared_is_refused(artifacts: Path, saved: Path, tmp_path: Path) -> None:
    assert call(artifacts, "--against", saved, "--save", tmp_path / "x", "--emulate", ".").code == 2
    assert call(artifacts).code == 2
    assert call(tmp_path / "none", "--save", tmp_path / "x").code == 2
    missing = call(artifacts, "--against", tmp_path / "none.npz")
    assert (missing.code, "none.npz" in missing.stderr) == (3, True)
    for content in (b"", b"PK\x03\x04 no archive", saved.read_bytes()[:-100]):
        (tmp_path / "bad.npz").write_bytes(content)
        damaged = call(artifacts, "--against", tmp_path / "bad.npz")
        assert (damaged.code, "bad.npz" in damaged.stderr) == (3, True)
    changed(saved, inputs=np.array("0" * 64))
    other = call(artifacts, "--against", saved)
    assert (other.code, "inputs" in other.stderr) == (3, True)
    write_boxes(artifacts / "a.boxes", "int8", shrink=1)
    other = call(artifacts, "--against", saved)
    assert (other.code, "a.boxes is not the file" in other.stderr) == (3, True)


def test_without_an_emulator_or_a_root_a_sentence_says_what_to_install(
    artifacts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    done = call(artifacts, "--emulate", tmp_path)
    assert (done.code, "qemu-user-static" in done.stderr) == (3, True)
    write_script(tmp_path / "qemu-aarch64-static", "exit 1")
    monkeypatch.setenv("PATH", f"{tmp_path}")
    done = call(artifacts, "--emulate", tmp_path)
    assert (done.code, "arm64/root.sh" in done.stderr) == (3, True)
    (tmp_path / "opt/sqsam").mkdir(parents=True)
    done = call(artifacts, "--emulate", tmp_path)
    assert (done.code, "opt/sqsam/run_boxes" in done.stderr) == (3, True)


def write_script(path: Path, text: str) -> None:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)


@pytest.fixture
def same_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A root with this machine's Python, and an emulator that just runs it."""
    root = tmp_path / "root"
    for folder in ("usr/bin", "opt/sqsam"):
        (root / folder).mkdir(parents=True)
    write_script(root / "usr/bin/python3", f'exec "{sys.executable}" "$@"')
    program = (PROGRAMS / "run_onnx.py").read_text()
    assert CREATED in program
    # The program is for arm64, whose kernels are exact.
    option = f'"session.x64quantprecision", "{int(this_one_saturates())}"'
    exact = f"options.add_session_config_entry({option})"
    program = program.replace(CREATED, f"{CREATED}\n    {exact}")
    (root / "opt/sqsam/run_onnx.py").write_text(program)
    write_script(tmp_path / "qemu-aarch64-static", 'shift 2; exec "$@"')
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    return root


ONNX = ("--only", "nano-int8.onnx", "--photos", 1)


def test_another_process_runs_the_same_file(nano_export: Path, same_machine: Path) -> None:
    done = call(nano_export, "--emulate", same_machine, *ONNX, "--json")
    assert done.code == 0, done.stderr
    (found,) = differences(done)
    assert (found["prompts"], found["different_logits"]) == (4, 0)


def test_kernels_that_round_otherwise_are_seen(nano_export: Path, same_machine: Path) -> None:
    """Without its fusions ONNX Runtime computes the same function and rounds at other places."""
    program = same_machine / "opt/sqsam/run_onnx.py"
    level = "options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL"
    program.write_text(program.read_text().replace(CREATED, f"{CREATED}\n    {level}"))
    done = call(nano_export, "--emulate", same_machine, *ONNX, "--json", "--min-agreement", 0.9)
    assert done.code == 0, done.stdout
    (found,) = differences(done)
    assert found["different_logits"] > 1000
    assert 0 < found["largest_difference"] < 5


def test_a_kernel_that_is_wrong_fails(nano_export: Path, same_machine: Path) -> None:
    """The masks' values of every second row are those of the row before."""
    program = same_machine / "opt/sqsam/run_onnx.py"
    text = program.read_text()
    written = "value.tofile("
    assert written in text
    wrong = (
        "if value.ndim == 4:\n                value[:, :, 1::2] = value[:, :, ::2]\n            "
    )
    program.write_text(text.replace(written, wrong + written))
    done = call(nano_export, "--emulate", same_machine, *ONNX)
    assert (done.code, "failed: masks" in done.stdout) == (1, True)


def test_the_last_words_of_the_other_process_are_the_error(
    nano_export: Path, same_machine: Path
) -> None:
    write_script(same_machine / "usr/bin/python3", "echo ImportError: no numpy >&2; exit 1")
    done = call(nano_export, "--emulate", same_machine, *ONNX)
    assert (done.code, "ImportError: no numpy" in done.stderr) == (3, True)


@pytest.mark.skipif(
    not (ARM64 / "opt/sqsam").is_dir() or not shutil.which("qemu-aarch64-static"),
    reason="no qemu-aarch64-static, or no folder SQSAM_ARM64_ROOT (benchmarks/arm64/root.sh)",
)
def test_emulated_arm64_computes_the_same(nano_export: Path) -> None:
    files = ("nano-int8.pte", "nano-int8.onnx")
    only = [word for name in files for word in ("--only", name)]
    done = call(nano_export, "--emulate", ARM64, *only, "--photos", 1, "--json")
    assert done.code == 0, done.stderr
    assert {found["artifact"] for found in differences(done)} == {*files}
    for found in differences(done):
        assert found["software"][1].startswith("aarch64, ")
        assert found["different_logits"] < 0.01 * found["logits"]

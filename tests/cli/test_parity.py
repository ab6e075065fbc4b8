"""`sqsam-parity` as CI runs it: exit codes, one-sentence errors, what is printed."""

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest

from sqsam_deploy.cli import parity
from sqsam_deploy.errors import UsageError
from sqsam_deploy.evaluation import discovery, runner, segmenters
from sqsam_deploy.model.config import NANO
from sqsam_deploy.model.description import describe
from sqsam_deploy.runtimes.session import Session


class BoxSession(Session):
    """Answers with the prompt's box, its edges moved in by `shrink` low-resolution pixels."""

    def __init__(self, precision: str, shrink: int) -> None:
        self.metadata = describe(NANO, runtime="onnx", precision=precision, weights_sha256="0" * 64)
        self._shrink = shrink

    def execute(self, feeds: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        box = feeds["prompt_maps"][0, 1, ::2, ::2] > 0
        (y0, y1), (x0, x1) = (np.flatnonzero(box.any(axis))[[0, -1]] for axis in (1, 0))
        cut, size = self._shrink, NANO.mask_size
        masks = np.full((1, NANO.num_masks, size, size), -5, np.float32)
        masks[0, 0, y0 + cut : y1 + 1 - cut, x0 + cut : x1 + 1 - cut] = 5
        return {"low_res_masks": masks, "iou_predictions": np.array([[0.9, 0, 0, 0]], np.float32)}


SESSIONS = {
    "float.onnx": BoxSession("fp32", 0),
    "same.onnx": BoxSession("int8", 0),
    "worse.onnx": BoxSession("int8", 3),
}


@pytest.fixture
def artifacts(tmp_path, monkeypatch) -> Path:
    def open_fake(path: Path, threads: int | None = None) -> Session:
        return SESSIONS[path.name]

    monkeypatch.setattr(discovery, "_metadata", lambda path: SESSIONS[path.name].metadata)
    monkeypatch.setattr(segmenters, "open_session", open_fake)
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    directory = tmp_path / "artifacts"
    directory.mkdir()
    for name in SESSIONS:
        (directory / name).write_bytes(name.encode())
    return directory


@pytest.fixture
def call(artifacts, monkeypatch):
    def run(*arguments: object) -> int:
        words = [str(word) for word in (artifacts, "--jobs", 1, "--prompts", "box", *arguments)]
        monkeypatch.setattr(sys, "argv", ["sqsam-parity", *words])
        with pytest.raises(SystemExit) as exit_:
            parity.main()
        return exit_.value.code or 0

    return run


def test_equal_artifacts_pass(call, artifacts, capsys):
    assert call("--only", "float.onnx", "--only", "same.onnx") == 0
    shown = capsys.readouterr()
    assert shown.out.splitlines()[-1].startswith("passed: 1 artifact, drift of at most 4 mIoU")
    assert "inside the runtimes" in shown.err
    assert (artifacts / "parity.json").is_file()
    assert not list(artifacts.glob(".*"))


def test_scoring_compares_nothing_and_is_no_pass(call, artifacts, capsys):
    assert call("--score", "--count", 4) == 0
    report = json.loads((artifacts / "parity.json").read_text())
    assert (report["passed"], report["outcome"]) == (False, "undecided")
    assert [entry["gates"] for entry in report["artifacts"].values()] == [[], [], []]
    ious = {name: entry["miou"][0]["overall"] for name, entry in report["artifacts"].items()}
    assert ious["worse.onnx"] < ious["same.onnx"] == ious["float.onnx"]
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    (row,) = (words for words in shown if words[:2] == ["worse.onnx", "box"])
    assert row[2] == f"{ious['worse.onnx']:.2f}"


def test_a_worse_artifact_fails_and_is_named(call, capsys, tmp_path):
    assert call("--count", 12, "-o", tmp_path / "out") == 1
    out = capsys.readouterr().out
    assert re.search(r"worse.onnx: .*is over", out)
    assert not re.search(r"same.onnx: .*is over", out)
    assert (tmp_path / "out" / "parity.html").is_file()


def test_too_few_images_leave_it_undecided(call, capsys):
    assert call("--count", 4) == 3
    assert "photos decide" in capsys.readouterr().out


def test_the_summary_of_a_github_job_gets_the_tables(call, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    call("--count", 4)
    assert "| worse.onnx |" in (tmp_path / "summary.md").read_text()


def test_only_leaves_the_reference_in(call, artifacts):
    assert call("--only", "same.onnx") == 0
    report = json.loads((artifacts / "parity.json").read_text())
    assert set(report["artifacts"]) == {"float.onnx", "same.onnx"}


def test_only_needs_no_baseline_of_the_reference(call, artifacts, tmp_path):
    only = ("--only", "same.onnx")
    assert call(*only, "-o", tmp_path) == 0
    rows = (tmp_path / "parity-objects.csv").read_text().splitlines()
    kept = [row for row in rows if not row.startswith("float.onnx,")]
    assert 1 < len(kept) < len(rows)
    (tmp_path / "earlier.csv").write_text("\n".join(kept) + "\n")
    assert call(*only, "--baseline", tmp_path / "earlier.csv") == 0
    report = json.loads((artifacts / "parity.json").read_text())
    assert report["artifacts"]["same.onnx"]["baseline"]["drift"]["mean"] == 0


def test_without_a_float_artifact_the_weights_are_asked_for(call, artifacts, capsys):
    (artifacts / "float.onnx").unlink()
    assert call() == 2
    error = capsys.readouterr().err
    assert "--reference" in error
    assert "0" * 64 in error


def test_a_new_build_is_gated_against_the_last_one(call, artifacts, tmp_path, monkeypatch, capsys):
    assert call("--only", "float.onnx", "--only", "same.onnx", "-o", tmp_path) == 0
    monkeypatch.setitem(SESSIONS, "float.onnx", BoxSession("fp32", 3))
    monkeypatch.setitem(SESSIONS, "same.onnx", BoxSession("int8", 3))
    only = ("--only", "float.onnx", "--only", "same.onnx")
    assert call(*only, "--baseline", tmp_path, "--max-drift", 1) == 1
    out = capsys.readouterr().out
    assert "same.onnx: drift since baseline with the prompt box +" in out
    assert "all 281" in out
    assert call(*only, "--prompts", "1-click", "--baseline", tmp_path) == 3
    assert "--prompts" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--only", "none.onnx"), 2, "has no artifact 'none.onnx'"),
        (("--only", "float.onnx"), 2, "nothing to compare with float.onnx"),
        (("--dataset", "nowhere.json"), 3, "dataset nowhere.json does not exist"),
        (("--baseline", "nowhere.csv"), 3, "results nowhere.csv do not exist"),
        (("--detections", "boxes.json"), 2, "name it with --dataset"),
        (("--saliency", "nowhere.onnx"), 3, "nowhere.onnx"),
        (("--score", "--baseline", "x.csv"), 2, "--baseline"),
        (("--detections", "boxes.json", "--category", "person"), 2, "--category"),
        (("--category", "unicorn"), 2, "'unicorn'"),
        (("--prompts", "none"), 2, "--saliency"),
        (("--prompts", "circle"), 2, "'circle' is not box"),
        (("--max-drift", "nan"), 2, "--max-drift"),
        (("--max-drift", "inf"), 2, "--max-drift"),
        (("--max-drift=-1",), 2, "--max-drift"),
        (("--max-drift", "1-click=1"), 2, "'1-click'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(call, capsys, arguments, code, message):
    assert call("--count", 3, *arguments) == code
    error = capsys.readouterr().err.splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error


def test_an_interruption_keeps_what_is_done(call, artifacts, monkeypatch, capsys):
    evaluate, done = runner.Evaluator.evaluate, []

    def interrupted(self, record):
        if len(done) == 2:
            raise KeyboardInterrupt
        done.append(record.id)
        return evaluate(self, record)

    monkeypatch.setattr(runner.Evaluator, "evaluate", interrupted)
    assert call("--count", 12) == 130
    monkeypatch.setattr(runner.Evaluator, "evaluate", evaluate)
    assert call("--count", 12) == 1
    assert "2 images were evaluated by an interrupted run" in capsys.readouterr().err


def test_a_device_that_is_not_there_is_named(tmp_path):
    from sqsam_deploy.checkpoint import bundled_checkpoint
    from sqsam_deploy.evaluation.plan import EvaluationPlan, assign_references

    loaded = discovery.load("float", bundled_checkpoint("nano"))
    (artifact,) = assign_references([loaded], None)
    plan = EvaluationPlan((artifact,), (), clicking=False, threads=1, device="cuda:99")
    with pytest.raises(UsageError, match="--device cuda:99 cannot be used"):
        segmenters.open_artifact(artifact, plan)


@pytest.mark.parametrize("text", ["7-clicks", "clicks", "0-click", "1", "box,", "01-click"])
def test_kinds_of_prompts_that_do_not_exist_are_named(call, capsys, text):
    assert call("--prompts", text) == 2
    assert "--prompts" in capsys.readouterr().err


def test_help_needs_no_heavy_package():
    code = (
        "import sys; sys.argv = ['sqsam-parity', '--help']\n"
        "from sqsam_deploy.cli.parity import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "heavy = {'torch', 'scipy', 'matplotlib', 'onnxruntime', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "--max-drift" in done.stdout

"""`sqsam-parity` as CI runs it: exit codes, one-sentence errors, what is printed."""

import json
import re
from collections.abc import Callable
from functools import partial
from pathlib import Path

import box_runtime
import pytest
from box_runtime import write_boxes

from sqsam_deploy.errors import UsageError
from sqsam_deploy.evaluation import discovery, segmenters
from tests.commands import Done, run_command


@pytest.fixture
def artifacts(tmp_path, monkeypatch) -> Path:
    monkeypatch.delenv("GITHUB_STEP_SUMMARY", raising=False)
    directory = tmp_path / "artifacts"
    directory.mkdir()
    write_boxes(directory / "float.boxes")
    write_boxes(directory / "same.boxes", "int8")
    write_boxes(directory / "worse.boxes", "int8", shrink=3)
    return directory


@pytest.fixture
def call(artifacts) -> Callable[..., Done]:
    return partial(run_command, "parity", artifacts, "--jobs", 1, "--prompts", "box")


def test_equal_artifacts_pass(call, artifacts):
    shown = call("--only", "float.boxes", "--only", "same.boxes")
    assert shown.code == 0
    assert shown.stdout.splitlines()[-1].startswith("passed: 1 artifact, drift of at most 4 mIoU")
    assert "inside the runtimes" in shown.stderr
    assert (artifacts / "parity.json").is_file()
    assert not list(artifacts.glob(".*"))


def test_scoring_compares_nothing_and_is_no_pass(call, artifacts):
    done = call("--score", "--count", 4)
    assert done.code == 0
    report = json.loads((artifacts / "parity.json").read_text())
    assert (report["passed"], report["outcome"]) == (False, "undecided")
    assert [entry["gates"] for entry in report["artifacts"].values()] == [[], [], []]
    ious = {name: entry["miou"][0]["overall"] for name, entry in report["artifacts"].items()}
    assert ious["worse.boxes"] < ious["same.boxes"] == ious["float.boxes"]
    shown = [line.split() for line in done.stdout.splitlines()]
    (row,) = (words for words in shown if words[:2] == ["worse.boxes", "box"])
    assert row[2] == f"{ious['worse.boxes']:.2f}"


def test_a_worse_artifact_fails_and_is_named(call, tmp_path):
    done = call("--count", 12, "-o", tmp_path / "out")
    assert done.code == 1
    assert re.search(r"worse.boxes: .*is over", done.stdout)
    assert not re.search(r"same.boxes: .*is over", done.stdout)
    assert (tmp_path / "out" / "parity.html").is_file()


def test_too_few_images_leave_it_undecided(call):
    done = call("--count", 4)
    assert done.code == 3
    assert "photos decide" in done.stdout


def test_a_decided_gate_ends_the_run(call, artifacts):
    """60 points at the limit of 4: photos that lose nothing are enough when they are 58."""
    assert call("--until-decided", "--only", "float.boxes", "--only", "same.boxes").code == 0
    report = json.loads((artifacts / "parity.json").read_text())
    assert (report["dataset"]["images"], report["dataset"]["available"]) == (58, 63)
    write_boxes(artifacts / "worse.boxes", "int8", shrink=8)
    assert call("--until-decided").code == 1
    report = json.loads((artifacts / "parity.json").read_text())
    assert 1 < report["dataset"]["images"] < 50
    assert not list(artifacts.glob(".*"))
    for other in (("--score",), ("--baseline", artifacts)):
        refused = call("--until-decided", *other)
        assert refused.code == 2
        assert "--until-decided" in refused.stderr


def test_the_summary_of_a_github_job_gets_the_tables(call, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    call("--count", 4)
    assert "| worse.boxes |" in (tmp_path / "summary.md").read_text()


def test_only_leaves_the_reference_in(call, artifacts):
    assert call("--only", "same.boxes").code == 0
    report = json.loads((artifacts / "parity.json").read_text())
    assert set(report["artifacts"]) == {"float.boxes", "same.boxes"}


def test_only_needs_no_baseline_of_the_reference(call, artifacts, tmp_path):
    only = ("--only", "same.boxes")
    assert call(*only, "-o", tmp_path).code == 0
    rows = (tmp_path / "parity-objects.csv").read_text().splitlines()
    kept = [row for row in rows if not row.startswith("float.boxes,")]
    assert 1 < len(kept) < len(rows)
    (tmp_path / "earlier.csv").write_text("\n".join(kept) + "\n")
    assert call(*only, "--baseline", tmp_path / "earlier.csv").code == 0
    report = json.loads((artifacts / "parity.json").read_text())
    assert report["artifacts"]["same.boxes"]["baseline"]["drift"]["mean"] == 0


def test_without_a_float_artifact_the_weights_are_asked_for(call, artifacts):
    (artifacts / "float.boxes").unlink()
    done = call()
    assert done.code == 2
    assert "--reference" in done.stderr
    assert "0" * 64 in done.stderr


def test_a_new_build_is_gated_against_the_last_one(call, artifacts, tmp_path):
    only = ("--only", "float.boxes", "--only", "same.boxes")
    assert call(*only, "-o", tmp_path).code == 0
    write_boxes(artifacts / "float.boxes", shrink=3)
    write_boxes(artifacts / "same.boxes", "int8", shrink=3)
    done = call(*only, "--baseline", tmp_path, "--max-drift", 1)
    assert done.code == 1
    assert "same.boxes: drift since baseline with the prompt box +" in done.stdout
    assert "all 281" in done.stdout
    other = call(*only, "--prompts", "1-click", "--baseline", tmp_path)
    assert other.code == 3
    assert "--prompts" in other.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("--only", "none.boxes"), 2, "has no artifact 'none.boxes'"),
        (("--only", "float.boxes"), 2, "nothing to compare with float.boxes"),
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
def test_what_is_wrong_is_said_in_one_line(call, arguments, code, message):
    done = call("--count", 3, *arguments)
    assert done.code == code
    error = done.stderr.splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error


def test_an_interruption_keeps_what_is_done(call, monkeypatch):
    monkeypatch.setenv(box_runtime.INTERRUPTED, "25")
    assert call("--count", 12).code == 130
    monkeypatch.delenv(box_runtime.INTERRUPTED)
    done = call("--count", 12)
    assert done.code == 1
    assert re.search(r"[1-9]\d? images? were evaluated by an interrupted run", done.stderr)


def test_a_device_that_is_not_there_is_named(tmp_path):
    from sqsam_deploy.checkpoint import bundled_checkpoint
    from sqsam_deploy.evaluation.plan import EvaluationPlan, assign_references

    loaded = discovery.load("float", bundled_checkpoint("nano"))
    (artifact,) = assign_references([loaded], None)
    plan = EvaluationPlan((artifact,), (), clicking=False, threads=1, device="cuda:99")
    with pytest.raises(UsageError, match="--device cuda:99 cannot be used"):
        segmenters.open_artifact(artifact, plan)


@pytest.mark.parametrize("text", ["7-clicks", "clicks", "0-click", "1", "box,", "01-click"])
def test_kinds_of_prompts_that_do_not_exist_are_named(call, text):
    done = call("--prompts", text)
    assert done.code == 2
    assert "--prompts" in done.stderr

"""The same bytes from one process, from two, and from a run that was interrupted."""

import json

import box_runtime
import pytest
import torch

from sqsam_deploy.checkpoint.saving import save_checkpoint
from sqsam_deploy.datasets import bundled_dataset, subset
from sqsam_deploy.evaluation.request import ParityRequest
from sqsam_deploy.evaluation.resume_log import RESUME_LOG_NAME
from sqsam_deploy.evaluation.runner import run_plan
from sqsam_deploy.model.config import NANO
from sqsam_deploy.model.network import SqueezeSAM
from sqsam_deploy.report.parity import evaluate


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory):
    """Two random networks, one a little off the other."""
    directory = tmp_path_factory.mktemp("artifacts")
    torch.manual_seed(0)
    model = SqueezeSAM(NANO).eval()
    save_checkpoint(model, directory / "a.safetensors", {})
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.02 * parameter.std(unbiased=False) * torch.randn_like(parameter))
    save_checkpoint(model, directory / "b.safetensors", {})
    return directory


def test_two_processes_write_the_bytes_of_one(checkpoints, tmp_path):
    for jobs in (1, 2):
        request = ParityRequest(
            checkpoints, output=tmp_path / str(jobs), prompts="1-click", count=2, jobs=jobs
        )
        evaluate(request)
    names = {path.name for path in (tmp_path / "1").iterdir()}
    expected = {"json", "html", "md"}
    assert names == {f"parity.{end}" for end in expected} | {
        "parity-junit.xml",
        "parity-objects.csv",
    }
    for name in names:
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes()


def test_an_interrupted_run_goes_on_where_it_stopped(plan, sessions, small_dataset, tmp_path):
    whole = run_plan(plan, small_dataset, tmp_path / "whole")
    asked = sessions["float"].calls

    def interrupt(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_plan(plan, small_dataset, tmp_path / "cut", progress=interrupt)
    before = sessions["float"].calls
    resumed = run_plan(plan, small_dataset, tmp_path / "cut")
    assert resumed.resumed == 2
    assert [r.objects for r in resumed.images] == [r.objects for r in whole.images]
    assert sessions["float"].calls - asked == asked
    assert sessions["float"].calls - before < asked


def test_a_run_that_ends_before_the_first_image_leaves_no_log(plan, small_dataset, tmp_path):
    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_plan(plan, small_dataset, tmp_path, progress=interrupt)
    assert not (tmp_path / RESUME_LOG_NAME).exists()


def test_a_line_that_was_cut_off_is_evaluated_again(plan, sessions, small_dataset, tmp_path):
    whole = run_plan(plan, small_dataset, tmp_path)
    log = tmp_path / RESUME_LOG_NAME
    log.write_text(log.read_text()[:-100])
    resumed = run_plan(plan, small_dataset, tmp_path)
    assert resumed.resumed == len(small_dataset) - 1
    assert [r.objects for r in resumed.images] == [r.objects for r in whole.images]


def test_a_log_of_another_run_is_not_used(plan, sessions, small_dataset, tmp_path):
    run_plan(plan, small_dataset, tmp_path)
    other = subset(bundled_dataset("sample"), 2, seed=9)
    assert run_plan(plan, other, tmp_path).resumed == 0
    log = (tmp_path / RESUME_LOG_NAME).read_text().splitlines()
    assert {json.loads(line)["image"] for line in log[1:]} == {r.id for r in other}


def test_the_share_of_the_runtimes_is_what_their_calls_took(
    plan, sessions, small_dataset, tmp_path, monkeypatch
):
    monkeypatch.setenv(box_runtime.SECONDS, "0.02")
    run = run_plan(plan, small_dataset, tmp_path)
    calls = sum(session.calls for session in sessions.values())
    total, inside = (sum(image.seconds[part] for image in run.images) for part in (0, 1))
    # A call sleeps for 20 ms; what was decoded, encoded and compared comes on top of the total.
    assert 0.02 * calls <= inside < total
    assert run.runtime_share == pytest.approx(inside / total)

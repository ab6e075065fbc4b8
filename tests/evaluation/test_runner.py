"""The same bytes from one process, from two, and from a run that was interrupted."""

import json

import pytest
import torch

from sqsam_deploy.checkpoint.saving import save_checkpoint
from sqsam_deploy.datasets import bundled_dataset, subset
from sqsam_deploy.evaluation import evaluator, runner
from sqsam_deploy.evaluation.request import ParityRequest
from sqsam_deploy.evaluation.resume_log import JOURNAL_NAME
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


@pytest.fixture
def fake_sessions(sessions, segmenters, monkeypatch):
    monkeypatch.setattr(runner, "open_artifact", lambda artifact, plan: segmenters[artifact.name])
    return sessions


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


def test_an_interrupted_run_goes_on_where_it_stopped(plan, fake_sessions, small_dataset, tmp_path):
    whole = run_plan(plan, small_dataset, tmp_path / "whole")
    asked = fake_sessions["float"].calls

    def interrupt(done: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_plan(plan, small_dataset, tmp_path / "cut", progress=interrupt)
    before = fake_sessions["float"].calls
    resumed = run_plan(plan, small_dataset, tmp_path / "cut")
    assert resumed.resumed == 2
    assert [r.objects for r in resumed.images] == [r.objects for r in whole.images]
    assert fake_sessions["float"].calls - asked == asked
    assert fake_sessions["float"].calls - before < asked


def test_a_line_that_was_cut_off_is_evaluated_again(plan, fake_sessions, small_dataset, tmp_path):
    whole = run_plan(plan, small_dataset, tmp_path)
    journal = tmp_path / JOURNAL_NAME
    journal.write_text(journal.read_text()[:-100])
    resumed = run_plan(plan, small_dataset, tmp_path)
    assert resumed.resumed == len(small_dataset) - 1
    assert [r.objects for r in resumed.images] == [r.objects for r in whole.images]


def test_a_journal_of_another_run_is_not_used(plan, fake_sessions, small_dataset, tmp_path):
    run_plan(plan, small_dataset, tmp_path)
    other = subset(bundled_dataset("sample"), 2, seed=9)
    assert run_plan(plan, other, tmp_path).resumed == 0
    journal = (tmp_path / JOURNAL_NAME).read_text().splitlines()
    assert {json.loads(line)["image"] for line in journal[1:]} == {r.id for r in other}


def test_the_share_of_the_runtimes_is_what_their_calls_took(
    plan, fake_sessions, small_dataset, tmp_path, monkeypatch
):
    """By a clock on which a call takes one second, decoding an image six, and the rest nothing."""
    clock = [0.0]

    def taking(seconds, function):
        def timed(*arguments):
            clock[0] += seconds
            return function(*arguments)

        return timed

    session = type(fake_sessions["float"])
    monkeypatch.setattr(evaluator.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(session, "execute", taking(1, session.execute))
    monkeypatch.setattr(evaluator, "load_annotated", taking(6, evaluator.load_annotated))
    run = run_plan(plan, small_dataset, tmp_path)
    calls = sum(s.calls for s in fake_sessions.values())
    assert run.runtime_share == pytest.approx(calls / (calls + 6 * len(small_dataset)))

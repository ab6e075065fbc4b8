"""Jobs in processes of their own: results, failures, and nothing left behind."""

import functools
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from sqsam_deploy._internal.progress import SilentSteps, Steps
from sqsam_deploy._internal.workers import open_workers
from sqsam_deploy.errors import ArtifactError, GateError
from tests.fakes import RecordedSteps
from tests.limits import on_cores

needs_fork = pytest.mark.skipif(sys.platform != "linux", reason="forks on Linux only")
SLEEPER = """
import os, pathlib, sys, time
from sqsam_deploy._internal import workers
from sqsam_deploy._internal.progress import SilentSteps
def job(steps):
    pathlib.Path(sys.argv[1]).write_text(str(os.getpid()))
    time.sleep(60)
with workers.open_workers(SilentSteps()) as forked:
    forked.start(job, 1.0)
    forked.results()
"""


@pytest.fixture
def two() -> Iterator[None]:
    with on_cores(2):
        yield


def _named(name: str, steps: Steps) -> tuple[str, int]:
    steps.begin(name)
    return name, os.getpid()


def _refused(steps: Steps) -> None:
    raise GateError("nano-int8.pte agrees too little: nothing was written")


def _broken_inside(steps: Steps) -> None:
    raise ZeroDivisionError("nobody expected this")


def _slow(started: Path, steps: Steps) -> None:
    started.write_text(str(os.getpid()))
    time.sleep(60)


def _refused_beside(started: Path, steps: Steps) -> None:
    _wait_for(started)
    _refused(steps)


def _killed(steps: Steps) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _leftover(steps: Steps) -> str:
    return tempfile.mkdtemp()


def _wait_for(path: Path) -> int:
    """The number in a file, once it is there."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        if path.exists() and path.read_text():
            return int(path.read_text())
        time.sleep(0.01)
    raise AssertionError(f"{path} did not appear")


def _is_gone(pid: int) -> bool:
    """Whether a process ended; nobody may have asked yet how."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return True
    return state == "Z"


@needs_fork
def test_results_come_in_the_order_the_jobs_were_handed_over(two: None) -> None:
    said = RecordedSteps()
    with open_workers(said) as forked:
        for name, cost in (("a", 1.0), ("b", 2.0), ("c", 3.0), ("d", 4.0)):
            forked.start(functools.partial(_named, name), cost)
        results = forked.results()
    assert [name for name, _ in results] == ["a", "b", "c", "d"]
    assert len({os.getpid(), *(pid for _, pid in results)}) == 5
    assert sorted(said.begun) == ["a", "b", "c", "d"]


def test_with_one_core_everything_happens_here() -> None:
    said = RecordedSteps()
    with on_cores(1), open_workers(said) as workers:
        for name in ("a", "b"):
            workers.start(functools.partial(_named, name), 1.0)
        assert workers.results() == [("a", os.getpid()), ("b", os.getpid())]
    assert said.begun == ["a", "b"]


@needs_fork
def test_a_failure_arrives_with_its_words_and_stops_the_others(two: None, tmp_path: Path) -> None:
    started = tmp_path / "started"
    with (
        pytest.raises(GateError, match=r"^nano-int8\.pte agrees too little: nothing was written$"),
        open_workers(SilentSteps()) as forked,
    ):
        forked.start(functools.partial(_slow, started), 2.0)
        forked.start(functools.partial(_refused_beside, started), 1.0)
        forked.results()
    assert _is_gone(_wait_for(started))


@needs_fork
def test_an_interruption_here_stops_the_jobs(two: None, tmp_path: Path) -> None:
    started = tmp_path / "started"
    with pytest.raises(KeyboardInterrupt), open_workers(SilentSteps()) as forked:
        forked.start(functools.partial(_slow, started), 1.0)
        _wait_for(started)
        raise KeyboardInterrupt
    assert _is_gone(_wait_for(started))


@needs_fork
def test_a_killed_job_is_told_as_such(two: None) -> None:
    with (
        pytest.raises(ArtifactError, match="was killed, most likely for want of memory"),
        open_workers(SilentSteps()) as forked,
    ):
        forked.start(_killed, 1.0)
        forked.results()


@needs_fork
def test_temporary_files_of_a_job_do_not_stay(two: None) -> None:
    with open_workers(SilentSteps()) as forked:
        forked.start(_leftover, 1.0)
        (left,) = forked.results()
        assert Path(left).is_dir()
    assert not Path(left).exists()


@needs_fork
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_jobs_end_with_the_process_that_waits(how: signal.Signals, tmp_path: Path) -> None:
    started = tmp_path / "started"
    process = subprocess.Popen([sys.executable, "-c", SLEEPER, str(started)])
    job = _wait_for(started)
    process.send_signal(how)
    process.wait()
    deadline = time.monotonic() + 10
    while not _is_gone(job) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert _is_gone(job)


SPAWNER = """
import multiprocessing, os, time
from concurrent.futures import ProcessPoolExecutor
from sqsam_deploy._internal.workers import end_with_parent
if __name__ == "__main__":
    pool = ProcessPoolExecutor(2, multiprocessing.get_context("spawn"), end_with_parent)
    pids = {pool.submit(os.getpid).result() for _ in range(20)}
    futures = [pool.submit(time.sleep, 60) for _ in range(2)]
    time.sleep(0.3)
    print(*pool._processes, flush=True)
    time.sleep(60)
"""


def test_spawned_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(SPAWNER)
    command = [sys.executable, str(tmp_path / "main.py")]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    workers = [int(word) for word in parent.stdout.readline().split()]
    assert workers
    parent.kill()
    parent.wait()
    # The pipe is held open by whoever lives on: reading to its end waits for all of them.
    assert parent.stdout.read() == ""
    for worker in workers:
        with pytest.raises(ProcessLookupError):
            for _ in range(100):
                os.kill(worker, 0)
                time.sleep(0.05)


@needs_fork
def test_what_nobody_expected_brings_the_traceback_of_its_own_process(two: None) -> None:
    with open_workers(SilentSteps()) as workers:
        workers.start(_broken_inside, 1.0)
        with pytest.raises(ZeroDivisionError) as caught:
            workers.results()
    assert any("_broken_inside" in note for note in caught.value.__notes__)

"""Jobs side by side: each in a process of its own, forked from this one.

Almost all of an export is single-threaded Python, so a second core is a second process. A forked
one has the imported libraries and the programs already; what it changes, global name counters
included, nobody else sees.
"""

import contextlib
import ctypes
import gc
import multiprocessing
import os
import pickle
import signal
import sys
import tempfile
import threading
import traceback
import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from sqsam_deploy._internal.progress import Steps
from sqsam_deploy._internal.temporary import scratch_directory
from sqsam_deploy.errors import ArtifactError, SqsamError

#: A function that reports its steps and returns something that can be pickled.
Job = Callable[[Steps], Any]

#: Two of the largest preset need 1.9 GB together.
MOST_WORKERS = 3

#: Linux's prctl(2): the signal that a process gets when the one that forked it dies.
_PR_SET_PDEATHSIG = 1


class Workers(ABC):
    """Runs jobs, each in a process of its own where the machine allows it."""

    @abstractmethod
    def start(self, job: Job, cost: float) -> None:
        """Adds a job; of those that wait for a process, the one of highest cost starts first."""

    @abstractmethod
    def attend(self) -> None:
        """Reads the jobs' messages; call it now and then in a long computation."""

    @abstractmethod
    def results(self) -> list[Any]:
        """Waits for all jobs and returns their results, in the order in which they were added.

        Raises:
            SqsamError: A job failed with it; the others are stopped.
        """


@contextlib.contextmanager
def open_workers(steps: Steps) -> Iterator[Workers]:
    """Workers for this machine; every process has ended when the block ends."""
    count = worker_count()
    if count < 2:
        yield _InTurn(steps)
        return
    with scratch_directory("export") as scratch:
        forked = _Forked(steps, count, str(scratch))
        try:
            yield forked
        finally:
            forked.stop()


def end_with_parent() -> None:
    """Ends this process, spawned by `multiprocessing`, soon after its parent has ended.

    A parent that is killed cannot tell its children; but the system then closes the parent's end
    of a pipe, of which every child holds the other end.
    """
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_end_after, args=(parent.sentinel,), daemon=True).start()


def _end_after(sentinel: int) -> None:
    wait([sentinel])
    os._exit(1)


def worker_count() -> int:
    """Number of jobs to run at once on this machine.

    Apple's frameworks do not survive a fork, and Windows has none: there it is one.
    """
    if sys.platform != "linux":
        return 1
    return min(usable_cores(), MOST_WORKERS)


def usable_cores() -> int:
    """Processor cores that this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


class _InTurn(Workers):
    """One job after the other, in this process, each when its result is wanted."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._jobs: list[Job] = []

    def start(self, job: Job, cost: float) -> None:
        del cost
        self._jobs.append(job)

    def attend(self) -> None:
        """There is no other process."""

    def results(self) -> list[Any]:
        return [job(self._steps) for job in self._jobs]


@dataclass
class _Order:
    """A job with its process and result."""

    job: Job
    cost: float
    steps: Steps
    process: BaseProcess | None = None
    result: Any = None


@dataclass(frozen=True)
class _Step:
    """A step that a job begins."""

    what: str


@dataclass(frozen=True)
class _Done:
    """A job's result."""

    value: Any


@dataclass(frozen=True)
class _Failed:
    """The error of a job."""

    error: BaseException


_Message = _Step | _Done | _Failed


class _Forked(Workers):
    def __init__(self, steps: Steps, count: int, scratch: str) -> None:
        self._steps, self._count, self._scratch = steps, count, scratch
        self._orders: list[_Order] = []
        self._running: dict[Connection, _Order] = {}
        self._threads = _torch_threads()

    def start(self, job: Job, cost: float) -> None:
        self._orders.append(_Order(job, cost, self._steps.subtask()))
        self.attend()

    def attend(self) -> None:
        self._listen(timeout=0)
        # One core is this process's own until it waits for the results.
        self._fill(self._count - 1)
        self._leave_cores()

    def results(self) -> list[Any]:
        self._steps.end()
        self._fill(self._count)
        while self._running:
            self._listen(timeout=None)
            self._fill(self._count)
        return [order.result for order in self._orders]

    def stop(self) -> None:
        """Ends what still runs."""
        for connection, order in self._running.items():
            assert order.process is not None
            order.process.kill()
            order.process.join()
            connection.close()
        self._running.clear()
        self._leave_cores()

    def _leave_cores(self) -> None:
        """Gives torch the cores here that no job has.

        With more threads than cores, each of its many short parallel loops waits for a thread that
        has none: small networks then run at a third of their speed.
        """
        if self._threads is not None:
            _set_torch_threads(max(1, self._threads - len(self._running)))

    def _fill(self, count: int) -> None:
        waiting = [order for order in self._orders if order.process is None]
        for order in sorted(waiting, key=lambda order: -order.cost):
            if len(self._running) >= count:
                return
            self._fork(order)

    def _fork(self, order: _Order) -> None:
        context = multiprocessing.get_context("fork")
        here, there = context.Pipe(duplex=False)
        arguments = (order.job, there, self._scratch, os.getpid())
        order.process = context.Process(target=_work, args=arguments, daemon=True)
        with warnings.catch_warnings():
            # From Python 3.12 on, a fork beside other threads warns of locks that they may hold.
            # They are OpenMP's, which `_alone_after_fork` leaves alone, and the progress bar's,
            # which the forked process never draws. To spawn instead would load the libraries and
            # trace the programs again in every process.
            warnings.simplefilter("ignore", DeprecationWarning)
            order.process.start()
        there.close()
        self._running[here] = order

    def _listen(self, timeout: float | None) -> None:
        """Reads the messages of running jobs; waits for at least one where there is no timeout."""
        for ready in wait(list(self._running), timeout):
            assert isinstance(ready, Connection)
            order = self._running[ready]
            message = _received(ready)
            while isinstance(message, _Step):
                order.steps.begin(message.what)
                if not ready.poll():
                    break
                message = _received(ready)
            else:
                self._finish(ready, order)
                if isinstance(message, _Failed):
                    raise message.error
                order.result = message.value

    def _finish(self, connection: Connection, order: _Order) -> None:
        assert order.process is not None
        order.process.join()
        order.steps.end()
        del self._running[connection]
        connection.close()


def _received(connection: Connection) -> _Message:
    try:
        message: _Message = connection.recv()
    except EOFError:
        killed = ArtifactError(
            "a process that built an artifact was killed, most likely for want of memory: close "
            "other programs and try again"
        )
        return _Failed(killed)
    return message


class _SentSteps:
    """Sends the steps to the process that waits."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    def begin(self, what: str) -> None:
        self._connection.send(_Step(what))

    def end(self) -> None:
        """The result ends the last step."""

    def subtask(self) -> Steps:
        return self


def _work(job: Job, connection: Connection, scratch: str, parent: int) -> None:
    """Runs one job in a forked process and sends its result."""
    _die_with(parent)
    # Ctrl-C reaches the whole group; the process that waits stops the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Libraries leave files behind that they remove at an exit which a forked process does not have.
    tempfile.tempdir = scratch
    _alone_after_fork()
    try:
        message: _Message = _Done(job(_SentSteps(connection)))
    except Exception as error:
        message = _Failed(_picklable(error))
        if not isinstance(error, SqsamError):
            # The process that raises it again has no traceback of this one.
            message.error.add_note(traceback.format_exc())
    connection.send(message)


def _die_with(parent: int) -> None:
    """Ends this process when the one that forked it is killed, so that nothing goes on writing."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _alone_after_fork() -> None:
    # Objects from before the fork need no looking through, and stay shared with the other process.
    gc.freeze()
    if _torch_threads() is not None:
        # OpenMP's threads stayed in the other process: this one would wait for them for ever.
        _set_torch_threads(1)


def _torch_threads() -> int | None:
    """Threads of torch's loops; None where torch is not loaded, so that nothing loads it."""
    torch = sys.modules.get("torch")
    return None if torch is None else torch.get_num_threads()


def _set_torch_threads(count: int) -> None:
    import torch

    torch.set_num_threads(count)


def _picklable(error: Exception) -> Exception:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error

"""Runs a function in a forked process that dies: at a moment, or at its n-th touch of a file."""

import os
import signal
import sys
import time
from collections.abc import Callable

#: Audit events (PEP 578) by which a process changes, or is about to change, a file system.
_EVENTS = ("open", "os.rename", "os.link", "os.mkdir", "os.remove", "os.rmdir", "os.truncate")


def run_in_child(action: Callable[[], object], die_at: int | None = None) -> int:
    """Runs `action` in a child; with `die_at` the child kills itself at that touch of a file.

    Returns:
        The process's wait status: 0 where it ended by itself, SIGKILL where it was killed.
    """
    child = os.fork()
    if child == 0:
        _prepare_child()
        if die_at is not None:
            _die_at_touch(die_at)
        action()
        os._exit(0)
    return os.waitpid(child, 0)[1]


def kill_after(action: Callable[[], object], seconds: float) -> tuple[int, float]:
    """Runs `action` in a child and kills it if it still runs after so many seconds.

    Returns:
        The process's wait status, and how long it lived.
    """
    start = time.monotonic()
    child = os.fork()
    if child == 0:
        _prepare_child()
        action()
        os._exit(0)
    while time.monotonic() - start < seconds:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return status, time.monotonic() - start
        time.sleep(min(0.001, seconds))
    os.kill(child, signal.SIGKILL)
    return os.waitpid(child, 0)[1], time.monotonic() - start


def was_killed(status: int) -> bool:
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def _prepare_child() -> None:
    signal.alarm(120)  # a child that hangs fails its test instead of stopping the suite
    sink = os.open(os.devnull, os.O_WRONLY)
    os.dup2(sink, 1)
    os.dup2(sink, 2)


def _die_at_touch(number: int) -> None:
    seen = 0

    def hook(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal seen
        if event in _EVENTS and not (event == "open" and arguments[1] in ("r", "rb")):
            seen += 1
            if seen == number:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)

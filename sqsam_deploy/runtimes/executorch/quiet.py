"""Keeps ExecuTorch's C++ notes off the terminal."""

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_cpp() -> Iterator[None]:
    """Sends what C++ writes to the standard error stream nowhere.

    The runtime logs the processor's description, every change of its threads and every failed
    check there; the failures are reported as exceptions too.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(nowhere)
        os.close(kept)

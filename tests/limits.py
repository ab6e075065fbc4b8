"""Other limits than usual: of agreement with the float network, of processor cores."""

import contextlib
import dataclasses
import os
from collections.abc import Iterator

import pytest

from sqsam_deploy.networks.precisions import PRECISIONS


def set_limits(patch: pytest.MonkeyPatch, limits: dict[str, float]) -> None:
    """Sets the limit of each precision named, until the patch is undone."""
    for name, limit in limits.items():
        patch.setitem(PRECISIONS, name, dataclasses.replace(PRECISIONS[name], limit=limit))


@contextlib.contextmanager
def on_cores(count: int) -> Iterator[None]:
    """Lets this process, and those that it starts, use so many cores; skips where there are fewer.

    Only Linux can: elsewhere an export works in one process anyway.
    """
    if not hasattr(os, "sched_setaffinity"):
        if count > 1:
            pytest.skip("jobs run side by side on Linux only")
        yield
        return
    usable = os.sched_getaffinity(0)
    if len(usable) < count:
        pytest.skip(f"this machine has fewer than {count} cores")
    os.sched_setaffinity(0, sorted(usable)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, usable)

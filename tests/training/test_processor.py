"""Precision and memory of a run by the processor and the allocator that it finds."""

import os
import subprocess
import sys
from ctypes.util import find_library

import pytest
import torch

from sqsam_deploy.training.processor import allocator_hint, fastest_precision


@pytest.mark.parametrize(
    ("device", "found", "expected"),
    [
        ("cpu", {"avx512_f": True, "avx512_bf16": False}, "fp32"),
        ("cpu", {"avx512_bf16": True}, "bf16"),
        ("cpu", {"amx_bf16": True}, "bf16"),
        ("cpu", {"architecture": "aarch64"}, "fp32"),
        ("cuda", {}, "bf16"),
    ],
)
def test_bf16_where_something_multiplies_it(
    device: str, found: dict[str, object], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: found)
    assert fastest_precision(device) == expected


def test_the_hint_names_what_to_set_and_only_where_it_helps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    hint = allocator_hint("cpu")
    assert hint is None or ("LD_PRELOAD=" in hint and "MALLOC_CONF=" in hint and "\n" not in hint)
    assert allocator_hint("cuda") is None
    monkeypatch.setattr("sys.platform", "darwin")
    assert allocator_hint("cpu") is None


_FREED = """
import ctypes, os, sys, time
from pathlib import Path
import numpy as np
from sqsam_deploy.training import processor

def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") >> 20

processor._DECAY_MS = 0
if sys.argv[1] == "returned":
    processor.return_freed_memory()
before = resident()
for size in range(1, 60):
    np.ones(size << 18)
print(resident() - before)
"""


@pytest.mark.skipif(find_library("jemalloc") is None, reason="jemalloc is not installed")
def test_under_jemalloc_a_process_that_draws_samples_gives_its_pages_back():
    """Arrays of 2 to 120 MB, each freed before the next."""
    environment = os.environ | {
        "LD_PRELOAD": str(find_library("jemalloc")),
        "MALLOC_CONF": "dirty_decay_ms:-1,muzzy_decay_ms:-1",
    }
    kept, returned = (
        int(subprocess.check_output([sys.executable, "-c", _FREED, mode], env=environment))
        for mode in ("kept", "returned")
    )
    assert returned < 50 < kept

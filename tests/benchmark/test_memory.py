import mmap
import sys

import numpy as np
import pytest

from sqsam_deploy.benchmark.memory import forget_peak, memory_use, peak_bytes, resident_bytes

MEGABYTE = 1 << 20


def test_memory_that_is_touched_becomes_resident():
    # Pages of its own: an allocator may hand out some that are resident already.
    with mmap.mmap(-1, 64 * MEGABYTE) as block:
        before = resident_bytes()
        np.frombuffer(block, np.uint8)[:] = 1
        grown = resident_bytes() - before
    assert grown == pytest.approx(64 * MEGABYTE, rel=0.2)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets a peak")
def test_a_peak_outlives_its_memory_until_it_is_forgotten():
    with mmap.mmap(-1, 64 * MEGABYTE) as block:
        np.frombuffer(block, np.uint8)[:] = 1
        high = resident_bytes()
    assert peak_bytes() >= high - MEGABYTE
    forget_peak()
    assert peak_bytes() < high - 32 * MEGABYTE


@pytest.mark.skipif(sys.platform != "linux", reason="Linux counts them")
def test_pages_of_this_process_alone_are_counted_apart():
    before = memory_use()
    with mmap.mmap(-1, 64 * MEGABYTE, mmap.MAP_PRIVATE) as block:
        np.frombuffer(block, np.uint8)[:] = 1
        after = memory_use()
    assert after.uss - before.uss == pytest.approx(64 * MEGABYTE, rel=0.2)
    # Libraries are shared with other Python processes, or may be.
    assert after.uss <= after.pss <= after.rss

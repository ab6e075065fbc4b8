"""Time on a device: events on the stream for a GPU, the clock for a CPU."""

import time
from collections.abc import Callable

import torch

Call = Callable[[], object]


def time_calls(call: Call, count: int, device: torch.device) -> tuple[float, ...]:
    """Milliseconds of each of `count` calls.

    On CUDA they come from device events, recorded in the stream around each call, and are read
    when all have ended, so that the host's waiting is not in them.
    """
    return _by_events(call, count) if device.type == "cuda" else _by_clock(call, count)


def _by_events(call: Call, count: int) -> tuple[float, ...]:
    pairs = [(_event(), _event()) for _ in range(count)]
    for begin, end in pairs:
        begin.record()
        call()
        end.record()
    torch.cuda.synchronize()
    return tuple(float(begin.elapsed_time(end)) for begin, end in pairs)


def _event() -> torch.cuda.Event:
    return torch.cuda.Event(enable_timing=True)  # type: ignore[no-untyped-call]


def _by_clock(call: Call, count: int) -> tuple[float, ...]:
    samples = []
    for _ in range(count):
        start = time.perf_counter()
        call()
        samples.append((time.perf_counter() - start) * 1e3)
    return tuple(samples)

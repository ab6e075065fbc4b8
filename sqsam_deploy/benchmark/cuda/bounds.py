"""The least time an inference can take: by its arithmetic, and by the bytes it must move."""

import statistics
from dataclasses import dataclass

import torch

from sqsam_deploy.benchmark.cuda.grid import Case
from sqsam_deploy.benchmark.cuda.programs import DTYPES, precision_of
from sqsam_deploy.benchmark.cuda.timing import time_calls
from sqsam_deploy.benchmark.macs import preset_work
from sqsam_deploy.benchmark.result import Bounds

_REPEATS = 10


@dataclass(frozen=True)
class DevicePeaks:
    """The device's best measured rates.

    Attributes:
        macs_per_ms: Of a large matrix product, by precision.
        bytes_per_ms: Read and written by a large copy.
    """

    macs_per_ms: dict[str, float]
    bytes_per_ms: float


def measure_peaks(
    device: torch.device, precisions: tuple[str, ...], side: int = 8192, copied: int = 1 << 30
) -> DevicePeaks:
    """Times a square matrix product a precision, and a copy.

    Args:
        device: The GPU.
        precisions: Of `DTYPES`.
        side: Of the matrices.
        copied: Bytes that the copy reads; it writes as many.
    """
    rates = {name: side**3 / _product_ms(device, name, side) for name in precisions}
    source = torch.zeros(copied, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    times = time_calls(lambda: target.copy_(source), _REPEATS, device)
    return DevicePeaks(rates, 2 * copied / min(times))


def _product_ms(device: torch.device, precision: str, side: int) -> float:
    a = torch.randn(side, side, device=device, dtype=DTYPES[precision])
    with precision_of(Case("eager", precision, False, 1)):
        times = time_calls(lambda: a @ a, _REPEATS, device)
    return statistics.median(times)


def bounds_of(preset_name: str, case: Case, peaks: DevicePeaks) -> Bounds:
    """Both bounds of a case; no implementation can be faster than the larger one."""
    work = preset_work(preset_name, case.batch)
    size = DTYPES[case.precision].itemsize
    return Bounds(
        arithmetic=work.macs / peaks.macs_per_ms[case.precision],
        traffic=work.elements * size / peaks.bytes_per_ms,
    )

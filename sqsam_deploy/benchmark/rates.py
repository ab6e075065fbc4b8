"""Multiply-accumulates per second, beside those of the fastest kernel of the same run."""

from collections.abc import Sequence

from sqsam_deploy.benchmark.result import Device, Estimate, Measurement, Setup
from sqsam_deploy.benchmark.statistics import paired_ratio

#: Kernels of which precision an artifact's precision is held against. Half precision has none of
#: its own: on CPUs it is what the fp32 units make of it.
_PEAK_OF = {"fp32": "fp32", "fp16": "fp32", "int8": "int8"}

#: Multiply-accumulates that a core can begin in a cycle, by precision and instructions, best first:
#: vector units of a core times lanes. x86-64: two units of 512 or 256 bits, fused multiply-add for
#: fp32, 8-bit dot products for int8; AMX multiplies 16x64 by 64x16 bytes in 16 cycles (Intel 64 and
#: IA-32 Architectures Optimization Reference Manual). arm64: four units of 128 bits, as the widest
#: cores of phones have; a processor with fewer units reaches less.
_MACS_A_CYCLE = {
    "int8": {
        "AMX-INT8": 1024,
        "AVX512-VNNI": 128,
        "AVX-VNNI": 64,
        "I8MM": 128,
        "DotProd": 64,
    },
    "fp32": {"AVX512F": 32, "FMA": 16, "DotProd": 16},
}


def arithmetic_bound(device: Device, precision: str, threads: int) -> float | None:
    """GMAC/s that a processor cannot exceed at its stated frequency.

    None where its frequency or its instructions are not known.
    """
    known = _MACS_A_CYCLE.get(precision, {})
    rate = next((macs for name, macs in known.items() if name in device.features), None)
    if rate is None or device.frequency is None:
        return None
    return rate * device.frequency * min(threads, device.cores) / 1e3


def gmac_per_second(measurement: Measurement) -> float | None:
    """Rate at the median; None where the work or the median is unknown."""
    macs, summary = measurement.subject.macs, measurement.inference.summary
    if macs is None or summary is None:
        return None
    return macs * measurement.setup.batch / (summary.median.value * 1e6)


def kernel_rate(measurements: Sequence[Measurement], precision: str, setup: Setup) -> float | None:
    """The rate of the fastest kernel of a precision in the same setup."""
    kernel = _best_kernel(measurements, precision, setup)
    return gmac_per_second(kernel) if kernel else None


def _best_kernel(
    measurements: Sequence[Measurement], precision: str, setup: Setup
) -> Measurement | None:
    kernels = [
        item
        for item in measurements
        if item.subject.role == "peak"
        and (item.subject.precision, item.setup) == (precision, setup)
        and gmac_per_second(item) is not None
    ]
    return max(kernels, key=lambda item: gmac_per_second(item) or 0.0, default=None)


def share_of_best_kernel(
    measurement: Measurement, measurements: Sequence[Measurement]
) -> Estimate | None:
    """Its rate over that of the fastest kernel of its precision in the same run.

    The kernels are real ones of the libraries, not the processor's arithmetic bound: a network may
    do better than all of them. None where there is no kernel.
    """
    precision = _PEAK_OF.get(measurement.subject.precision)
    if precision is None or gmac_per_second(measurement) is None:
        return None
    kernel = _best_kernel(measurements, precision, measurement.setup)
    if kernel is None:
        return None
    work = (measurement.subject.macs or 0) / (kernel.subject.macs or 1)
    ratio = paired_ratio(kernel.inference, measurement.inference)
    return Estimate(value=work * ratio.value, low=work * ratio.low, high=work * ratio.high)

"""Multiply-accumulates per second, beside those of the fastest kernel of the same run."""

from collections.abc import Sequence

from sqsam_deploy.benchmark.result import Estimate, Measurement, Setup
from sqsam_deploy.benchmark.statistics import paired_ratio

#: Kernels of which precision an artifact's precision is held against. Half precision has none of
#: its own: on CPUs it is what the fp32 units make of it.
_PEAK_OF = {"fp32": "fp32", "fp16": "fp32", "int8": "int8"}


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

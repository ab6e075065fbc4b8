"""Multiply-accumulates per second, and the share of what the processor can do."""

from collections.abc import Sequence

from sqsam_deploy.benchmark.result import Measurement, Setup

#: Kernels of which precision an artifact's precision is held against. Half precision has none of
#: its own: on CPUs it is what the fp32 units make of it.
_PEAK_OF = {"fp32": "fp32", "fp16": "fp32", "int8": "int8"}


def gmac_per_second(measurement: Measurement) -> float | None:
    """Rate at the median; None where the work or the median is unknown."""
    macs, summary = measurement.subject.macs, measurement.inference.summary
    if macs is None or summary is None:
        return None
    return macs * measurement.setup.batch / (summary.median.value * 1e6)


def peak_rate(measurements: Sequence[Measurement], precision: str, setup: Setup) -> float | None:
    """The best rate of any peak kernel of a precision in the same setup."""
    rates = [
        rate
        for item in measurements
        if item.subject.role == "peak"
        and item.subject.precision == precision
        and item.setup == setup
        and (rate := gmac_per_second(item)) is not None
    ]
    return max(rates, default=None)


def share_of_peak(measurement: Measurement, measurements: Sequence[Measurement]) -> float | None:
    """Its rate over the peak of its precision in the same run; None where there is no peak."""
    rate = gmac_per_second(measurement)
    precision = _PEAK_OF.get(measurement.subject.precision)
    if rate is None or precision is None:
        return None
    peak = peak_rate(measurements, precision, measurement.setup)
    return rate / peak if peak else None

"""Which ratios a run is read for: int8 over fp32, runtime over runtime, peer over ours."""

from collections.abc import Iterator, Sequence

from sqsam_deploy.benchmark.result import Measurement, Ratio, Subject
from sqsam_deploy.benchmark.statistics import paired_ratio
from sqsam_deploy.runtimes.registry import runtime_names

Pair = tuple[Measurement, Measurement]


def find_ratios(measurements: Sequence[Measurement]) -> tuple[Ratio, ...]:
    """Ratios of subjects that took turns with each other, at the same threads."""
    return tuple(
        Ratio(
            numerator=above.subject.name,
            denominator=below.subject.name,
            setup=below.setup,
            estimate=paired_ratio(above.inference, below.inference),
        )
        for above, below in _pairs(measurements)
    )


def _pairs(measurements: Sequence[Measurement]) -> Iterator[Pair]:
    for above in measurements:
        for below in measurements:
            if above.setup == below.setup and _belongs(above.subject, below.subject):
                yield above, below


def _belongs(above: Subject, below: Subject) -> bool:
    if "peak" in (above.role, below.role) or above == below:
        return False
    if above.role == "peer":
        return _is_reference(below) and above.precision == below.precision
    if above.preset is None or above.preset != below.preset or below.role != "artifact":
        return False
    same_runtime = above.runtime == below.runtime
    if same_runtime:
        # What a lower precision gains: time at fp32 over time at it.
        return above.precision == "fp32" and below.precision != "fp32"
    return below.runtime == runtime_names()[0] and above.precision == below.precision


def _is_reference(subject: Subject) -> bool:
    """An artifact that peers of equal precision are compared with: masks, in the first runtime."""
    is_artifact = subject.role == "artifact" and subject.makes_masks
    return is_artifact and subject.runtime == runtime_names()[0]

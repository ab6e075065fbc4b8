"""Typical times and ratios with intervals that hold when samples come in rounds and processes.

Samples of one round were taken in a row on a machine in one state, so they are not independent;
rounds of one process share where its memory lies; processes are independent. The interval is
Student's of the logarithms of the highest level's means, processes where there are several, else
rounds (Kalibera and Jones, "Rigorous benchmarking in reasonable time", 2013). It holds for three
processes as for thirty (`benchmarks/verdicts.py latency`), where a bootstrap needs many. Subjects
that took turns are paired, process by process and round by round, which cancels what the machine
did meanwhile.
"""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.benchmark.result import Estimate, Summary, Timing
from sqsam_deploy.errors import UsageError

CONFIDENCE = 0.95

Logs = NDArray[np.float64]


def summarize(timing: Timing) -> Summary:
    """The typical time with its interval, and the percentiles that the samples allow."""
    samples = np.concatenate([np.asarray(r, float) for r in timing.rounds])
    return Summary(
        median=typical(timing),
        p90=_percentile(samples, 0.90),
        p99=_percentile(samples, 0.99),
        samples=len(samples),
    )


def _percentile(samples: NDArray[np.float64], level: float) -> float | None:
    """None where even the largest sample may well lie below it: under 29 for p90, 299 for p99."""
    if level ** len(samples) > 1 - CONFIDENCE:
        return None
    return float(np.quantile(samples, level))


def typical(timing: Timing) -> Estimate:
    """Geometric mean over processes of the geometric mean of their rounds' medians.

    Where there is one process, over its rounds; where there is one round, over its samples.
    """
    logs = _process_logs(timing)
    if len(logs) == 1:
        logs = _round_logs(timing)
    if len(logs) == 1:
        logs = _logs(timing.rounds[0])
    return estimate_of_logs(logs)


def estimate_of_values(values: Sequence[float]) -> Estimate | None:
    """Geometric mean of independent values, such as load times of processes; None of nothing."""
    return estimate_of_logs(_logs(values)) if values else None


def estimate_of_mean(values: Sequence[float]) -> Estimate:
    """Mean of independent amounts, such as bytes of processes, with Student's interval."""
    mean, reach = _student(np.asarray(values, float))
    return Estimate(value=mean, low=mean - reach, high=mean + reach)


def paired_ratio(numerator: Timing, denominator: Timing) -> Estimate:
    """Ratio of two subjects that took turns: of each process where there are several, else round.

    Raises:
        UsageError: They were not measured in the same rounds.
    """
    above, below = _round_logs(numerator), _round_logs(denominator)
    if len(above) != len(below):
        raise UsageError(f"a paired ratio needs the same rounds, got {len(above)} and {len(below)}")
    processes = [_process_logs(timing) for timing in (numerator, denominator)]
    if len(processes[0]) == len(processes[1]) > 1:
        above, below = processes
    return estimate_of_logs(above - below)


def independent_ratio(numerator: Timing, denominator: Timing) -> Estimate:
    """Ratio of two separate runs, with Welch's interval."""
    from scipy.stats import t

    sides = [_highest_level(timing) for timing in (numerator, denominator)]
    means = [float(logs.mean()) for logs in sides]
    variances = [float(logs.var(ddof=1)) / len(logs) if len(logs) > 1 else 0.0 for logs in sides]
    value, variance = means[0] - means[1], sum(variances)
    if variance == 0:
        return Estimate(value=math.exp(value), low=math.exp(value), high=math.exp(value))
    freedom = variance**2 / sum(
        part**2 / (len(logs) - 1) for part, logs in zip(variances, sides, strict=True) if part
    )
    return _around(value, float(t.ppf((1 + CONFIDENCE) / 2, freedom)) * math.sqrt(variance))


def estimate_of_logs(logs: Logs) -> Estimate:
    """Geometric mean with Student's interval; of no width where there is one value."""
    return _around(*_student(logs))


def _student(values: NDArray[np.float64]) -> tuple[float, float]:
    """The mean, and how far Student's interval reaches from it."""
    from scipy.stats import t

    mean = float(values.mean())
    if len(values) == 1:
        return mean, 0.0
    error = float(values.std(ddof=1)) / math.sqrt(len(values))
    return mean, float(t.ppf((1 + CONFIDENCE) / 2, len(values) - 1)) * error


def _around(mean: float, reach: float) -> Estimate:
    low, high = math.exp(mean - reach), math.exp(mean + reach)
    return Estimate(value=math.exp(mean), low=low, high=high)


def _highest_level(timing: Timing) -> Logs:
    logs = _process_logs(timing)
    return logs if len(logs) > 1 else _round_logs(timing)


def _round_logs(timing: Timing) -> Logs:
    return _logs([float(np.median(samples)) for samples in timing.rounds])


def _logs(milliseconds: Sequence[float]) -> Logs:
    """A clock that did not move in between counts as a nanosecond."""
    logs: Logs = np.log(np.maximum(np.asarray(milliseconds, float), 1e-6))
    return logs


def _process_logs(timing: Timing) -> Logs:
    """Mean over each process's rounds; one value where the file does not tell processes apart."""
    logs = _round_logs(timing)
    if timing.processes is None:
        return np.array([logs.mean()])
    index = np.asarray(timing.processes)
    means: Logs = np.bincount(index, weights=logs) / np.bincount(index)
    return means

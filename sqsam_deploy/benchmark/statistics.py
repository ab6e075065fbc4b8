"""Medians and ratios with intervals that hold when samples come in rounds.

Samples of one round were taken in a row on a machine in one state, so they are not independent;
rounds nearly are. The bootstrap therefore draws whole rounds (a cluster bootstrap: Davison and
Hinkley, *Bootstrap Methods and their Application*, section 3.8), and the ratio of two subjects
that took turns pairs them round by round, which cancels what the machine did meanwhile.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.benchmark.result import Estimate, Summary
from sqsam_deploy.errors import UsageError

CONFIDENCE = 0.95
RESAMPLES = 4000
_SEED = 0

Rounds = Sequence[Sequence[float]]


def summarize(rounds: Rounds) -> Summary:
    """Median with its interval, p90 and p99 of all samples."""
    samples = np.concatenate([np.asarray(r, float) for r in rounds])
    p90, p99 = np.percentile(samples, (90, 99))
    return Summary(
        median=median_estimate(rounds), p90=float(p90), p99=float(p99), samples=len(samples)
    )


def median_estimate(rounds: Rounds) -> Estimate:
    """Median of all samples, its interval from resampled rounds.

    A single round is resampled sample by sample: there is nothing else to go by.
    """
    clusters = _clusters(rounds)
    value = float(np.median(np.concatenate([np.asarray(r, float) for r in clusters])))
    return _estimate(value, _resampled_medians(clusters, np.random.default_rng(_SEED)))


def paired_ratio(numerator: Rounds, denominator: Rounds) -> Estimate:
    """Ratio of two subjects that took turns: the median of the ratios of each round's medians.

    Raises:
        UsageError: They were not measured in the same rounds.
    """
    if len(numerator) != len(denominator):
        raise UsageError(
            f"a paired ratio needs the same rounds, got {len(numerator)} and {len(denominator)}"
        )
    ratios = _round_medians(numerator) / _round_medians(denominator)
    rng = np.random.default_rng(_SEED)
    draws = rng.integers(0, len(ratios), (RESAMPLES, len(ratios)))
    return _estimate(float(np.median(ratios)), np.median(ratios[draws], axis=1))


def independent_ratio(numerator: Rounds, denominator: Rounds) -> Estimate:
    """Ratio of the medians of two separate runs; each is resampled by itself."""
    rng = np.random.default_rng(_SEED)
    above, below = (_resampled_medians(_clusters(r), rng) for r in (numerator, denominator))
    value = median_estimate(numerator).value / median_estimate(denominator).value
    return _estimate(value, above / below)


def _clusters(rounds: Rounds) -> Rounds:
    return rounds if len(rounds) > 1 else [[sample] for sample in rounds[0]]


def _round_medians(rounds: Rounds) -> NDArray[np.float64]:
    return np.array([np.median(r) for r in rounds])


def _resampled_medians(clusters: Rounds, rng: np.random.Generator) -> NDArray[np.float64]:
    """Medians of RESAMPLES draws of whole clusters, which may differ in length."""
    widest = max(len(cluster) for cluster in clusters)
    table = np.full((len(clusters), widest), np.nan)
    for row, cluster in zip(table, clusters, strict=True):
        row[: len(cluster)] = cluster
    draws = rng.integers(0, len(clusters), (RESAMPLES, len(clusters)))
    medians: NDArray[np.float64] = np.nanmedian(table[draws].reshape(RESAMPLES, -1), axis=1)
    return medians


def _estimate(value: float, resampled: NDArray[np.float64]) -> Estimate:
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(resampled, (tail, 100 - tail))
    return Estimate(value=value, low=float(low), high=float(high))

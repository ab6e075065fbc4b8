import numpy as np
import pytest
from scipy.stats import binom

from sqsam_deploy.benchmark.statistics import (
    independent_ratio,
    median_estimate,
    paired_ratio,
    summarize,
)
from sqsam_deploy.errors import UsageError


def _rounds(rng, count=15, each=4, level=0.0, noise=0.02):
    """Samples around 10 ms; every round has a level of its own, as a machine in moods has."""
    levels = 10 * np.exp(level * rng.standard_normal(count))
    return levels[:, None] * np.exp(noise * rng.standard_normal((count, each)))


def test_percentiles_of_a_known_sequence():
    summary = summarize([[float(i) for i in range(1, 101)]])
    assert summary.median.value == 50.5
    assert summary.p90 == pytest.approx(90.1)
    assert summary.p99 == pytest.approx(99.01)
    assert summary.samples == 100


def test_equal_samples_leave_no_doubt():
    estimate = median_estimate([[5.0, 5.0], [5.0, 5.0]])
    assert (estimate.value, estimate.low, estimate.high) == (5.0, 5.0, 5.0)


def test_interval_of_independent_samples_is_that_of_order_statistics():
    """For independent samples the distribution-free interval is known exactly."""
    samples = np.sort(np.random.default_rng(1).lognormal(size=101))
    estimate = median_estimate([[value] for value in samples])
    low, high = (int(binom.ppf(q, 101, 0.5)) for q in (0.025, 0.975))
    assert samples[low - 3] <= estimate.low <= samples[low + 3]
    assert samples[high - 3] <= estimate.high <= samples[high + 3]


def test_interval_covers_the_true_median_when_rounds_have_moods():
    """Resampling single samples would cover it in little more than half of the runs."""
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(100):
        estimate = median_estimate(_rounds(rng, level=0.05))
        covered += estimate.low <= 10.0 <= estimate.high
    assert covered / 100 >= 0.88


def test_paired_ratio_cancels_a_machine_that_slows_down():
    slowing = np.linspace(1, 3, 15)[:, None]
    rng = np.random.default_rng(3)
    fast, slow = (_rounds(rng, noise=0.005) * slowing * factor for factor in (1, 2))
    paired, independent = paired_ratio(slow, fast), independent_ratio(slow, fast)
    assert paired.low < 2 < paired.high
    assert paired.relative_half_width < 0.01 < independent.relative_half_width


def test_independent_ratio_has_the_spread_of_both():
    """Relative errors of a quotient add in squares."""
    rng = np.random.default_rng(4)
    above, below = _rounds(rng, count=200), _rounds(rng, count=200)
    widths = [median_estimate(r).relative_half_width for r in (above, below)]
    expected = np.hypot(*widths)
    assert independent_ratio(above, below).relative_half_width == pytest.approx(expected, rel=0.25)


def test_rounds_that_do_not_match_cannot_be_paired():
    with pytest.raises(UsageError, match="same rounds, got 2 and 1"):
        paired_ratio([[1.0], [2.0]], [[1.0]])


def test_rounds_may_differ_in_length():
    estimate = median_estimate([[1.0, 2.0, 3.0], [2.0]])
    assert estimate.value == 2.0
    assert 1.0 <= estimate.low <= estimate.high <= 3.0

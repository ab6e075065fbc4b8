import numpy as np
import pytest
from scipy import stats

from sqsam_deploy.benchmark.result import Timing
from sqsam_deploy.benchmark.statistics import (
    estimate_of_values,
    independent_ratio,
    paired_ratio,
    summarize,
    typical,
)
from sqsam_deploy.errors import UsageError


def _timing(rounds, processes=None) -> Timing:
    numbers = None if processes is None else tuple(int(p) for p in processes)
    return Timing(rounds=tuple(tuple(map(float, r)) for r in rounds), processes=numbers)


def _run(rng, *, processes=8, rounds=2, between=0.0, level=0.0, noise=0.005, ms=10.0) -> Timing:
    """Samples around `ms`; every process and every round has a level of its own."""
    own = np.repeat(between * rng.standard_normal(processes), rounds)
    moods = level * rng.standard_normal(processes * rounds)
    samples = np.exp(noise * rng.standard_normal((processes * rounds, 4)))
    numbers = np.repeat(np.arange(processes), rounds)
    return _timing(ms * np.exp(own + moods)[:, None] * samples, numbers)


def test_one_round_is_a_sample_of_its_own():
    values = np.random.default_rng(0).lognormal(1, 0.2, 12)
    low, high = stats.ttest_1samp(np.log(values), 0).confidence_interval(0.95)
    found = typical(_timing([values]))
    expected = (stats.gmean(values), np.exp(low), np.exp(high))
    assert (found.value, found.low, found.high) == pytest.approx(expected)


def test_percentiles_are_shown_where_the_samples_allow():
    """With 0.9^28 > 5%, all of 28 samples may well lie under the 90th percentile."""
    for count, p90, p99 in ((28, False, False), (29, True, False), (299, True, True)):
        summary = summarize(_timing([np.arange(1, count + 1)]))
        assert (summary.p90 is not None, summary.p99 is not None) == (p90, p99)
        assert summary.samples == count
    assert summary.p99 == pytest.approx(np.percentile(np.arange(1, 300), 99))


def test_equal_samples_leave_no_doubt():
    estimate = typical(_timing([[5.0, 5.0], [5.0, 5.0]]))
    assert (estimate.value, estimate.low, estimate.high) == pytest.approx((5, 5, 5))


@pytest.mark.parametrize("rounds", [5, 12])
def test_the_interval_covers_as_often_as_it_says_when_rounds_have_moods(rounds):
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(400):
        found = typical(_run(rng, processes=1, rounds=rounds, level=0.05))
        covered += found.low <= 10.0 <= found.high
    assert covered / 400 == pytest.approx(0.95, abs=0.033)


def test_identical_artifacts_differ_no_more_often_than_they_may():
    """At 2% between processes: 5% of comparisons, whatever the rounds."""
    rng = np.random.default_rng(5)
    wrong = 0
    for _ in range(400):
        sides = [_run(rng, between=0.02) for _ in range(2)]
        ratio = paired_ratio(*sides)
        wrong += not ratio.low <= 1.0 <= ratio.high
    assert wrong / 400 == pytest.approx(0.05, abs=0.033)


def test_two_values_are_their_mean_and_not_the_larger():
    assert estimate_of_values([4.0, 9.0]).value == pytest.approx(6.0)
    assert estimate_of_values([]) is None


def test_paired_ratio_cancels_a_machine_that_slows_down():
    slowing = np.linspace(1, 3, 15)[:, None]
    rng = np.random.default_rng(3)
    fast, slow = (
        _timing(10 * factor * slowing * np.exp(0.005 * rng.standard_normal((15, 4))))
        for factor in (1, 2)
    )
    paired, independent = paired_ratio(slow, fast), independent_ratio(slow, fast)
    assert paired.low < 2 < paired.high
    assert paired.relative_half_width < 0.01 < independent.relative_half_width


def test_independent_ratio_is_welch_s():
    rng = np.random.default_rng(4)
    one, two = rng.lognormal(2, 0.05, 9), rng.lognormal(2, 0.2, 5)
    expected = stats.ttest_ind(np.log(one), np.log(two), equal_var=False).confidence_interval(0.95)
    found = independent_ratio(_timing(one[:, None]), _timing(two[:, None]))
    assert (found.low, found.high) == pytest.approx((np.exp(expected.low), np.exp(expected.high)))


def test_rounds_that_do_not_match_cannot_be_paired():
    with pytest.raises(UsageError, match="same rounds, got 2 and 1"):
        paired_ratio(_timing([[1.0], [2.0]]), _timing([[1.0]]))


def test_rounds_may_differ_in_length():
    assert typical(_timing([[1.0, 2.0, 4.0], [2.0]])).value == pytest.approx(2.0)


@pytest.mark.parametrize("numbers", [(0,), (0, 2), (1, 1)])
def test_every_round_has_a_process(numbers):
    with pytest.raises(ValueError, match="processes must number"):
        _timing([[1.0], [2.0]], numbers)

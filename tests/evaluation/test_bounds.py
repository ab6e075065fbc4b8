"""Intervals and bounds against formulas, scipy, and the truth they should cover."""

import numpy as np
import pytest
from scipy import stats

from sqsam_deploy.evaluation.bounds import (
    LARGEST_LOSS,
    fewest_images,
    images_to_fail,
    images_to_pass,
    interval,
    p_value_over,
    photo_means,
    share_bound,
    upper_bounds,
)


def test_the_interval_and_the_p_value_are_student_s():
    means = np.random.default_rng(0).normal(0.5, 2, 40)
    expected = stats.ttest_1samp(means, 0.3, alternative="greater")
    assert p_value_over(means, 0.3) == pytest.approx(expected.pvalue)
    low, high = stats.ttest_1samp(means, 0).confidence_interval(0.95)
    found = interval(means)
    assert (found.mean, found.low, found.high) == pytest.approx((means.mean(), low, high))


def test_photos_count_alike_however_many_objects_they_show():
    assert photo_means([1.0, 3.0, 5.0], ["a", "a", "b"]).tolist() == [2.0, 5.0]


@pytest.mark.parametrize("images", [20, 63, 268, 1000])
def test_without_a_loss_the_bound_is_the_exact_binomial_one(images):
    expected = LARGEST_LOSS * stats.binomtest(0, images).proportion_ci(0.95, "exact").high
    assert upper_bounds(np.zeros((images, 1)), LARGEST_LOSS, 0)[0] == pytest.approx(expected, 1e-3)


def test_with_photos_lost_whole_it_is_the_exact_binomial_one_too():
    means = np.zeros((200, 1))
    means[:3] = LARGEST_LOSS
    expected = LARGEST_LOSS * stats.binomtest(3, 200).proportion_ci(0.95, "exact").high
    assert upper_bounds(means, LARGEST_LOSS, 0)[0] == pytest.approx(expected, rel=0.02)


def test_with_many_photos_it_is_the_usual_one():
    means = np.random.default_rng(0).normal(0.2, 3, (20_000, 1))
    found = interval(means[:, 0])
    assert upper_bounds(means, LARGEST_LOSS, 0)[0] == pytest.approx(found.high, abs=0.01)


@pytest.mark.parametrize(("hits", "total"), [(0, 63), (1, 281), (7, 63), (5, 5)])
def test_a_share_s_bound_is_clopper_and_pearson_s(hits, total):
    expected = stats.binomtest(hits, total).proportion_ci(0.95, "exact").high
    assert share_bound(hits, total) == pytest.approx(expected)


@pytest.mark.parametrize("limit", [0.5, 1.0, 4.0])
def test_the_fewest_images_are_where_a_bound_can_first_be_within_the_limit(limit):
    images = fewest_images(limit, LARGEST_LOSS)
    for count, within in ((images, True), (images - 1, False)):
        exact = LARGEST_LOSS * (1 - 0.025 ** (1 / count))
        assert (exact <= limit) is within


def test_the_bound_covers_rare_large_losses_as_often_as_it_says():
    """One photo in sixty loses 60 points: a drift of 1. 200 photos show none in 3% of draws."""
    rng = np.random.default_rng(0)
    means = 60.0 * (rng.random((200, 600)) < 1 / 60)
    covered = (upper_bounds(means, LARGEST_LOSS, 0) >= 1.0).mean()
    # 97.5% promised; three standard deviations of 600 draws are 1.9%.
    assert covered >= 0.956


def test_so_many_photos_as_are_asked_for_pass_in_four_of_five_runs():
    rng = np.random.default_rng(0)
    images = images_to_pass(0.3, 2.0, 1.0, LARGEST_LOSS)
    passed = upper_bounds(rng.normal(0.3, 2.0, (images, 300)), LARGEST_LOSS, 0) <= 1.0
    assert passed.mean() == pytest.approx(0.8, abs=0.08)
    assert images_to_pass(1.0, 2.0, 1.0, LARGEST_LOSS) is None


def test_so_many_photos_as_are_asked_for_fail_in_four_of_five_runs():
    images = images_to_fail(2.0, 3.0, 1.0)
    runs = np.random.default_rng(0).normal(2.0, 3.0, (1000, images))
    assert np.mean([p_value_over(run, 1.0) < 0.025 for run in runs]) == pytest.approx(0.8, abs=0.05)

"""Intervals against scipy's bootstrap, and against the truth they should cover."""

import numpy as np
import pytest
from scipy import stats

from sqsam_deploy.evaluation.bootstrap import ImageSums, bootstrap_intervals, sum_by_image


def _skewed(images: int, seed: int) -> ImageSums:
    rng = np.random.default_rng(seed)
    counts = rng.integers(1, 9, images).astype(float)
    values = counts * (rng.exponential(1.0, images) - 0.5)
    return ImageSums(values[:, None], counts[:, None])


def test_the_interval_is_scipy_s():
    sums = _skewed(60, seed=4)
    data = (sums.values[:, 0], sums.counts[:, 0])
    expected = stats.bootstrap(
        data,
        lambda values, counts, axis: values.sum(axis) / counts.sum(axis),
        paired=True,
        vectorized=True,
        n_resamples=20_000,
        method="BCa",
        rng=np.random.default_rng(0),
    ).confidence_interval
    interval = bootstrap_intervals(sums, resamples=20_000)[0]
    width = expected.high - expected.low
    assert interval.mean == pytest.approx(data[0].sum() / data[1].sum())
    assert interval.low == pytest.approx(expected.low, abs=0.02 * width)
    assert interval.high == pytest.approx(expected.high, abs=0.02 * width)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(0)
    covered = 0
    for _ in range(200):
        values = rng.exponential(1.0, (60, 1))
        interval = bootstrap_intervals(ImageSums(values, np.ones_like(values)), resamples=500)[0]
        covered += interval.low <= 1.0 <= interval.high
    # 190 expected of 200, standard deviation 3.1; intervals of skewed data fall a little short.
    assert 178 <= covered <= 198


def test_more_objects_of_the_same_images_do_not_make_it_surer():
    rng = np.random.default_rng(0)
    per_image = rng.normal(size=40)
    width = []
    for objects in (1, 10):
        images = np.repeat(np.arange(40), objects)
        sums = sum_by_image(images, [np.ones(len(images), bool)], per_image[images])
        interval = bootstrap_intervals(sums)[0]
        width.append(interval.high - interval.low)
    assert width[1] == pytest.approx(width[0], rel=1e-9)


def test_images_that_do_not_differ_give_an_interval_of_no_width():
    sums = ImageSums(np.full((20, 1), 0.5), np.ones((20, 1)))
    interval = bootstrap_intervals(sums)[0]
    assert (interval.mean, interval.low, interval.high) == (0.5, 0.5, 0.5)


def test_a_column_that_few_images_have_is_resampled_without_the_others():
    values, counts = np.zeros((50, 1)), np.zeros((50, 1))
    values[:3, 0], counts[:3, 0] = (1, 2, 3), 1
    interval = bootstrap_intervals(ImageSums(values, counts))[0]
    assert interval.mean == 2
    assert 1 <= interval.low < 2 < interval.high <= 3


def test_sums_are_per_image_and_per_column():
    images = np.array([0, 0, 1, 2])
    columns = [np.array([True, True, True, True]), np.array([False, True, False, True])]
    sums = sum_by_image(images, columns, np.array([1.0, 2.0, 3.0, 4.0]))
    assert sums.values.tolist() == [[3, 2], [3, 0], [4, 4]]
    assert sums.counts.tolist() == [[2, 1], [1, 0], [1, 1]]

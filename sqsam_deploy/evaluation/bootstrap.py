"""Confidence intervals of means over objects, resampled by image.

Objects of one image share its light, its blur and its luck: they are not independent, images are.
So images are drawn with replacement, each with all its objects, and the mean over objects is a
ratio of two sums. The interval is bias-corrected and accelerated (BCa; Efron, "Better Bootstrap
Confidence Intervals", 1987): drift is skewed, most objects lose nothing and a few lose a lot.

`scipy.stats.bootstrap` computes the same, one statistic at a time. Here one draw of images serves
every artifact, prompt kind and size at once, as a matrix product; a test compares the two.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Resamples. The ends of a 95% interval then vary by some 2% of its width with the seed.
RESAMPLES = 10_000
CONFIDENCE = 0.95
#: Rows of the weight matrix computed at a time, to bound memory on large datasets.
_BATCH = 1000


@dataclass(frozen=True)
class Interval:
    """A mean and its confidence interval, in the unit of the values."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class ImageSums:
    """Sums over the objects of each image, one column a statistic.

    Attributes:
        values: IxK, sum of the values.
        counts: IxK, how many there are; 0 where an image has none.
    """

    values: NDArray[np.float64]
    counts: NDArray[np.float64]


def sum_by_image(
    images: NDArray[np.int64], columns: list[NDArray[np.bool_]], values: NDArray[np.float64]
) -> ImageSums:
    """Sums values per image, once for each column's selection of them.

    Args:
        images: N, index of the image of each value.
        columns: K masks of N: which values the column takes.
        values: N.
    """
    count = int(images.max()) + 1
    sums = [np.bincount(images[c], weights=values[c], minlength=count) for c in columns]
    counts = [np.bincount(images[c], minlength=count) for c in columns]
    return ImageSums(np.stack(sums, 1), np.stack(counts, 1).astype(np.float64))


def bootstrap_intervals(
    sums: ImageSums,
    *,
    seed: int = 0,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> list[Interval]:
    """BCa intervals of the mean of each column.

    Args:
        sums: From `sum_by_image`; every column has a value somewhere.
        seed: Of the resampling.
        confidence: Two-sided.
        resamples: How many.

    Returns:
        One interval a column; of no width where the images do not differ.
    """
    drawn = _resampled_means(sums, np.random.default_rng(seed), resamples)
    return [
        _bca(drawn[:, column], sums.values[:, column], sums.counts[:, column], confidence)
        for column in range(sums.values.shape[1])
    ]


def _resampled_means(
    sums: ImageSums, rng: np.random.Generator, resamples: int
) -> NDArray[np.float64]:
    """Resamples x K means; NaN where a resample missed every image of a column."""
    images = len(sums.values)
    means = []
    for first in range(0, resamples, _BATCH):
        rows = min(_BATCH, resamples - first)
        weights = rng.multinomial(images, np.full(images, 1 / images), size=rows).astype(np.float64)
        with np.errstate(invalid="ignore"):
            means.append((weights @ sums.values) / (weights @ sums.counts))
    return np.concatenate(means)


def _bca(
    drawn: NDArray[np.float64],
    values: NDArray[np.float64],
    counts: NDArray[np.float64],
    confidence: float,
) -> Interval:
    from scipy.stats import norm

    mean = float(values.sum() / counts.sum())
    drawn = drawn[np.isfinite(drawn)]
    below = (np.mean(drawn < mean) + np.mean(drawn <= mean)) / 2
    if drawn.min() == drawn.max() or not 0 < below < 1:
        return Interval(mean, float(drawn.min()), float(drawn.max()))
    tail = (1 - confidence) / 2
    bias, acceleration = norm.ppf(below), _acceleration(values, counts)
    shifted = bias + norm.ppf([tail, 1 - tail])
    levels = norm.cdf(bias + shifted / (1 - acceleration * shifted))
    low, high = np.quantile(drawn, levels)
    return Interval(mean, float(low), float(high))


def _acceleration(values: NDArray[np.float64], counts: NDArray[np.float64]) -> float:
    """Skewness of the jackknife: of the mean without each image in turn."""
    without_values, without_counts = values.sum() - values, counts.sum() - counts
    left = without_values[without_counts > 0] / without_counts[without_counts > 0]
    deviation = left.mean() - left
    spread = (deviation**2).sum() ** 1.5
    return float((deviation**3).sum() / (6 * spread)) if spread else 0.0

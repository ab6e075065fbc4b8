"""How sure a mean over photos is, and how bad what was not seen may be.

Objects of one photo share its light, its blur and its luck: they are not independent, photos are.
So every number here is a mean over photos, each photo's objects averaged first (the cluster mean
of Kahan et al., "Estimands in cluster-randomized trials", 2023). Weighting photos by their objects
instead would let one crowded photo hide behind many empty ones: no bound held in the simulations
of `benchmarks/verdicts.py` then.

Two different things are said of a mean:

- its *interval*, from what was seen: Student's t;
- its *bound*, which also covers what was not seen. Losses are rare and large: where one photo in
  sixty loses 60 points, 63 photos show none of them in a third of all draws, and every bootstrap
  gives an interval of no width. The bound is the one of Gaffke (2005; Learned-Miller and Thomas,
  "A new confidence interval for the mean of a bounded random variable", 2019): the photos are
  weighted at random as in the Bayesian bootstrap, together with one photo more that lost the most
  possible. Where no photo lost anything it is the exact binomial bound times the largest loss.
"""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Of every interval, two-sided; a bound leaves out half of the rest.
CONFIDENCE = 0.95
TAIL = (1 - CONFIDENCE) / 2
#: mIoU points that a photo is taken to lose at most, as a mean over its objects; so much of a mask
#: IoU where masks are compared with masks.
LARGEST_LOSS = 60.0
#: Of the wanted number of images: the chance that so many decide.
POWER = 0.80

#: Random weightings; the bound then varies by less than 1% with the seed.
_DRAWS = 10_000
_BATCH = 1000
_MOST_IMAGES = 10_000_000


@dataclass(frozen=True)
class Interval:
    """A mean over photos and its two-sided confidence interval, in the unit of the values.

    Attributes:
        mean: Of the photos' means.
        low: Lower end.
        high: Upper end; the mean itself, like `low`, where there is one photo.
    """

    mean: float
    low: float
    high: float


def photo_means(values: Sequence[float], images: Iterable[str]) -> NDArray[np.float64]:
    """Mean of the values of each image, in the order in which images first occur."""
    names = list(images)
    order = {image: index for index, image in enumerate(dict.fromkeys(names))}
    indices = np.array([order[image] for image in names])
    sums = np.bincount(indices, weights=values)
    means: NDArray[np.float64] = sums / np.bincount(indices)
    return means


def interval(means: NDArray[np.float64]) -> Interval:
    """Student's interval of the mean of N photos' means."""
    from scipy.stats import t

    mean, error = float(means.mean()), standard_error(means)
    reach = float(t.ppf(1 - TAIL, len(means) - 1)) * error if len(means) > 1 else 0.0
    return Interval(mean, mean - reach, mean + reach)


def standard_error(means: NDArray[np.float64]) -> float:
    """Of the mean; 0 for one photo, of which it is not known."""
    return float(means.std(ddof=1)) / math.sqrt(len(means)) if len(means) > 1 else 0.0


def upper_bounds(means: NDArray[np.float64], largest: float, seed: int) -> NDArray[np.float64]:
    """Gaffke's upper bounds of K means, each at a confidence of 1 - TAIL.

    Args:
        means: NxK, the means of N photos.
        largest: What a photo loses at most.
        seed: Of the random weights.
    """
    rng = np.random.default_rng(seed)
    # The added photo's weight is Beta(1, N), in strata, so that a bound without a loss is exact.
    added = 1 - ((np.arange(_DRAWS) + 0.5) / _DRAWS) ** (1 / len(means))
    drawn = np.concatenate([_weighted_means(means, rng) for _ in range(0, _DRAWS, _BATCH)])
    drawn = added[:, None] * largest + (1 - added[:, None]) * drawn
    bounds: NDArray[np.float64] = np.quantile(drawn, 1 - TAIL, axis=0)
    return bounds


def _weighted_means(means: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """_BATCHxK means under random weights of the N photos."""
    weights = rng.exponential(size=(_BATCH, len(means)))
    weighted: NDArray[np.float64] = (weights @ means) / weights.sum(1, keepdims=True)
    return weighted


def p_value_over(means: NDArray[np.float64], limit: float) -> float:
    """One-sided p-value of Student's test of a mean of at most `limit`; small where it is over."""
    from scipy.stats import t

    distance, error = float(means.mean()) - limit, standard_error(means)
    if error == 0:
        return 0.0 if distance > 0 else 1.0
    return float(t.sf(distance / error, len(means) - 1))


def share_bound(hits: int, total: int) -> float:
    """Exact upper bound of a share (Clopper and Pearson, 1934), at a confidence of 1 - TAIL."""
    from scipy.stats import beta

    return 1.0 if hits == total else float(beta.ppf(1 - TAIL, hits + 1, total - hits))


def fewest_images(limit: float, largest: float) -> int:
    """Images below which no bound is within the limit, though none of them lost anything."""
    if limit <= 0 or largest <= limit:
        return 1 if limit > 0 else _MOST_IMAGES
    return math.ceil(math.log(TAIL) / math.log(1 - limit / largest))


def images_to_pass(mean: float, deviation: float, limit: float, largest: float) -> int | None:
    """Images at which a bound is within the limit with a chance of `POWER`.

    The bound's distribution is close to a normal one, from the photos, plus an exponential one,
    from the photo that was added; `benchmarks/verdicts.py` compares with the bound itself.

    Args:
        mean: Of the photos' means, as it would stay.
        deviation: Standard deviation of the photos' means.
        limit: For the bound.
        largest: What a photo loses at most.

    Returns:
        None where no number of images would do.
    """
    if mean >= limit:
        return None

    def passes(images: int) -> bool:
        from scipy.stats import exponnorm, norm

        error, atom = deviation / math.sqrt(images), (largest - mean) / images
        unlucky = mean + float(norm.ppf(POWER)) * error
        if error < 1e-6 * atom:
            return bool(mean + (1 - TAIL ** (1 / images)) * (largest - mean) <= limit)
        return float(exponnorm.ppf(1 - TAIL, atom / error, unlucky, error)) <= limit

    floor = fewest_images(limit, largest)
    return _first(passes, floor)


def images_to_fail(mean: float, deviation: float, limit: float) -> int | None:
    """Images at which an interval is over the limit with a chance of `POWER`; None: no number."""
    from scipy.stats import norm

    if mean <= limit:
        return None
    reach = float(norm.ppf(1 - TAIL) + norm.ppf(POWER))
    return math.ceil((reach * deviation / (mean - limit)) ** 2)


def _first(holds: Callable[[int], bool], start: int) -> int | None:
    """The first number from `start` on for which something holds that then goes on to hold."""
    high = start
    while not holds(high):
        high *= 2
        if high > _MOST_IMAGES:
            return None
    low = max(start, high // 2)
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if holds(middle) else (middle + 1, high)
    return low

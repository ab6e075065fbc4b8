"""How good a saliency map is: the measures of the field, each of one photo.

A map is HxW in [0, 1], the truth HxW bool. Masks and maps are read as the field's evaluation codes
read them (`prepare`), so that numbers can be compared with published ones.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

#: Weight of precision over recall that the saliency literature uses (Achanta et al., CVPR 2009).
BETA_SQUARED = 0.3
#: Levels of a stored saliency map, each a threshold of the F- and the E-measure.
LEVELS = 256
#: Weight of the objects' part against the regions' part of the S-measure.
_ALPHA = 0.5
#: Of the weighted F-measure: pixels over which an error fades by half, and the filter of errors.
_HALF_LIFE, _FILTER_SIZE, _FILTER_SIGMA = 5.0, 7, 5.0
_TINY = float(np.spacing(1))

Map = NDArray[np.float64]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class SaliencyMeasures:
    """Measures over photos, 0 to 1.

    Attributes:
        images: Number of photos.
        mae: Mean absolute error; the lower the better, all others the higher.
        max_f: Largest F-measure over 256 thresholds, of the mean curve.
        weighted_f: Weighted F-measure.
        s: S-measure.
        max_e: Largest E-measure over 256 thresholds, of the mean curve.
        mean_e: Mean of that curve.
    """

    images: int
    mae: float
    max_f: float
    weighted_f: float
    s: float
    max_e: float
    mean_e: float


class Scores:
    """Collects photos; `result` is their mean."""

    def __init__(self) -> None:
        self._values: list[tuple[float, float, float]] = []
        self._f: list[NDArray[np.float64]] = []
        self._e: list[NDArray[np.float64]] = []

    def add(self, saliency: NDArray[np.floating], truth: Mask) -> None:
        """One photo's map and truth, HxW both."""
        stretched = stretch(saliency)
        error = mean_absolute_error(stretched, truth)
        self._values.append((error, weighted_f(stretched, truth), s_measure(stretched, truth)))
        # Cut to steps, not rounded, as the field's codes convert to 8 bits.
        steps = np.floor(stretched * (LEVELS - 1)) / (LEVELS - 1)
        precision, recall = precision_recall(steps, truth)
        self._f.append(f_measure(precision, recall))
        self._e.append(e_measure(steps, truth))

    def result(self) -> SaliencyMeasures:
        """Means over the photos so far, of which there is at least one."""
        mae, weighted, s = np.mean(self._values, axis=0).tolist()
        f, e = np.mean(self._f, axis=0), np.mean(self._e, axis=0)
        count = len(self._values)
        return SaliencyMeasures(
            count, mae, float(f.max()), weighted, s, float(e.max()), float(e.mean())
        )


def stretch(saliency: NDArray[np.floating]) -> Map:
    """A map whose lowest value is 0 and highest 1; a flat one stays as it is."""
    values = saliency.astype(np.float64)
    lowest, highest = values.min(), values.max()
    return values if lowest == highest else (values - lowest) / (highest - lowest)


def mean_absolute_error(saliency: Map, truth: Mask) -> float:
    """Perazzi et al., "Saliency filters", CVPR 2012."""
    return float(np.abs(saliency - truth).mean())


def precision_recall(saliency: NDArray[np.floating], truth: Mask) -> NDArray[np.float64]:
    """Precision and recall at every threshold 0..255 of a map in steps of 1/255.

    Returns:
        2x256. Where no pixel reaches the threshold both are 0; so is recall of an empty truth.
    """
    hits, marked = _marked(saliency, truth)
    return np.stack([hits / np.maximum(marked, 1), hits / max(int(truth.sum()), 1)])


def _marked(
    saliency: NDArray[np.floating], truth: Mask
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pixels that reach each threshold: those of the truth, and all."""
    levels = np.clip(np.rint(saliency * (LEVELS - 1)), 0, LEVELS - 1).astype(np.int64)
    hits = np.bincount(levels[truth], minlength=LEVELS)[::-1].cumsum()[::-1]
    marked = np.bincount(levels.ravel(), minlength=LEVELS)[::-1].cumsum()[::-1]
    return hits, marked


def f_measure(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> NDArray[np.float64]:
    """(1 + b) P R / (b P + R), b = 0.3; 0 where both are 0."""
    above = (1 + BETA_SQUARED) * precision * recall
    measure: NDArray[np.float64] = above / np.maximum(BETA_SQUARED * precision + recall, 1e-12)
    return measure


def weighted_f(saliency: Map, truth: Mask) -> float:
    """Margolin et al., "How to evaluate foreground maps?", CVPR 2014, with beta 1.

    Errors beside each other are worth less than scattered ones, and errors far from the object
    more than near ones.
    """
    from scipy import ndimage

    if not truth.any():
        return 0.0
    distance, nearest = ndimage.distance_transform_edt(~truth, return_indices=True)
    error = np.abs(saliency - truth)
    # Outside, the error counts that was made at the nearest pixel of the object.
    spread = np.where(truth, error, error[tuple(nearest)])
    smoothed = ndimage.convolve(spread, _gaussian(), mode="constant")
    dependent = np.where(truth & (smoothed < error), smoothed, error)
    weights = np.where(truth, 1.0, 2 - np.exp(np.log(0.5) / _HALF_LIFE * distance))
    weighted = dependent * weights
    hits, false = truth.sum() - weighted[truth].sum(), weighted[~truth].sum()
    recall, precision = 1 - weighted[truth].mean(), hits / (hits + false + _TINY)
    return float(2 * recall * precision / (recall + precision + _TINY))


def _gaussian() -> NDArray[np.float64]:
    offsets = np.arange(_FILTER_SIZE) - _FILTER_SIZE // 2
    one = np.exp(-(offsets**2) / (2 * _FILTER_SIGMA**2))
    kernel = np.outer(one, one)
    normalized: NDArray[np.float64] = kernel / kernel.sum()
    return normalized


def s_measure(saliency: Map, truth: Mask) -> float:
    """Fan et al., "Structure-measure", ICCV 2017."""
    share = float(truth.mean())
    if share in (0.0, 1.0):
        mean = float(saliency.mean())
        return mean if share else 1 - mean
    objects = share * _object_score(saliency[truth])
    objects += (1 - share) * _object_score(1 - saliency[~truth])
    return max(0.0, _ALPHA * objects + (1 - _ALPHA) * _region_score(saliency, truth))


def _object_score(values: NDArray[np.float64]) -> float:
    mean = float(values.mean())
    deviation = float(values.std(ddof=1)) if len(values) > 1 else 0.0
    return 2 * mean / (mean**2 + 1 + deviation + _TINY)


def _region_score(saliency: Map, truth: Mask) -> float:
    """Similarity of the four parts that the truth's center cuts a photo into, by their areas."""
    rows, columns = np.nonzero(truth)
    row, column = int(np.round(rows.mean())) + 1, int(np.round(columns.mean())) + 1
    score = 0.0
    for vertical in (slice(None, row), slice(row, None)):
        for horizontal in (slice(None, column), slice(column, None)):
            part = truth[vertical, horizontal]
            if part.size:
                score += part.size / truth.size * _similarity(saliency[vertical, horizontal], part)
    return score


def _similarity(saliency: Map, truth: Mask) -> float:
    """SSIM of one region."""
    x, y = float(saliency.mean()), float(truth.mean())
    others = max(truth.size - 1, 1)
    spread_x, spread_y = ((saliency - x) ** 2).sum() / others, ((truth - y) ** 2).sum() / others
    shared = ((saliency - x) * (truth - y)).sum() / others
    above, below = 4 * x * y * shared, (x**2 + y**2) * (spread_x + spread_y)
    if above != 0:
        return float(above / (below + _TINY))
    return 1.0 if below == 0 else 0.0


def e_measure(saliency: Map, truth: Mask) -> NDArray[np.float64]:
    """Fan et al., "Enhanced-alignment measure", IJCAI 2018, at 256 thresholds.

    A pixel is one of four kinds, in the truth or not and over the threshold or not, so that only
    their numbers are needed.
    """
    hits, marked = _marked(saliency, truth)
    total, inside = truth.size, int(truth.sum())
    if inside in (0, total):
        right: NDArray[np.float64] = (marked if inside else total - marked) / (total - 1 + _TINY)
        return right
    x, y = marked / total, inside / total
    kinds = (
        (hits, 1 - x, 1 - y),
        (marked - hits, 1 - x, -y),
        (inside - hits, -x, 1 - y),
        (total - inside - marked + hits, -x, -y),
    )
    measure = np.zeros(LEVELS)
    for pixels, predicted, wanted in kinds:
        alignment = 2 * predicted * wanted / (predicted**2 + wanted**2 + _TINY)
        measure += pixels * (alignment + 1) ** 2 / 4
    return measure / (total - 1 + _TINY)

"""The saliency start: from a saliency map to five clicks (arXiv 2312.06736, "Application")."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy._internal.geometry import bounding_box
from sqsam_deploy.errors import DataError

#: Levels of the histogram that Otsu's method works on, those of an 8-bit saliency map.
LEVELS = 256
#: Steps of a saliency map, those of an 8-bit picture.
STEPS = 255
#: Relative difference under which two numbers are a tie, so that rounding never decides one.
_TIE = 1e-9


@dataclass(frozen=True)
class SaliencyClicks:
    """The five clicks of a saliency map and what they were read from.

    Attributes:
        point_coords: 5x2 float32, (x, y) in pixels of the map, pixel centers at integers: the
            blob's center of mass, then those of its sections: top left, top right, bottom left,
            bottom right. Each lies in a pixel of the blob.
        blob: HxW bool.
        threshold: Lowest saliency that belongs to a blob (Otsu).
        maximum: Highest saliency of the map.
        maximum_count: Pixels of the blob that have it.
    """

    point_coords: NDArray[np.float32]
    blob: NDArray[np.bool_]
    threshold: float
    maximum: float
    maximum_count: int

    @property
    def point_labels(self) -> NDArray[np.int64]:
        """5 int64, all foreground."""
        return np.ones(len(self.point_coords), np.int64)

    def scaled_to(self, image_hw: tuple[int, int]) -> NDArray[np.float32]:
        """The clicks on an image that the map covers whole, 5x2 float32 in pixels of the image."""
        height, width = self.blob.shape
        scale = np.array([image_hw[1] / width, image_hw[0] / height])
        coords: NDArray[np.float32] = ((self.point_coords + 0.5) * scale - 0.5).astype(np.float32)
        return coords

    def box_on(self, image_hw: tuple[int, int]) -> tuple[float, float, float, float]:
        """The blob's box (x0, y0, x1, y1) on an image that the map covers whole."""
        height, width = self.blob.shape
        across, down = image_hw[1] / width, image_hw[0] / height
        x0, y0, x1, y1 = bounding_box(self.blob)
        return x0 * across, y0 * down, x1 * across, y1 * down

    def blob_on_grid(self, size: int) -> NDArray[np.bool_]:
        """The blob as a low-resolution mask, size x size.

        A pixel belongs to it where the map's pixel under its center does: of a map of w columns,
        column i of the grid has column floor((2 i + 1) w / (2 size)).
        """
        odd = 2 * np.arange(size) + 1
        rows, columns = (odd * side // (2 * size) for side in self.blob.shape)
        on_grid: NDArray[np.bool_] = self.blob[np.ix_(rows, columns)]
        return on_grid


def saliency_clicks(saliency_map: NDArray[np.floating]) -> SaliencyClicks:
    """Five clicks on the most salient blob of a saliency map.

    Otsu's threshold cuts the map into blobs (8-connected). The blob with the highest saliency is
    taken; among blobs that share it the one where it occurs more often, then the larger one, then
    the one that comes first from top to bottom, left to right. A horizontal and a vertical line
    through its center of mass cut it into four sections. The clicks are the centers of mass of the
    blob and of the sections (a section without area has the blob's own); a click outside the blob
    moves to the center of the blob's nearest pixel.

    A pixel is a unit square that the two lines may cut, so a blob of one pixel has four sections
    too, and a map whose every pixel is repeated k times k times gives the same clicks, enlarged (a
    moved one within k/2 pixels). A flat map is one blob. Scaling the saliency or adding to it
    changes nothing.

    Args:
        saliency_map: HxW, any range; higher is more salient.

    Raises:
        DataError: The map is not HxW, has no pixel, or is not finite in float32.
    """
    saliency = _checked(saliency_map)
    levels = _levels(saliency)
    split = otsu_level(np.bincount(levels.ravel(), minlength=LEVELS))
    blob = _salient_blob(saliency, levels > split)
    inside = saliency[blob]
    return SaliencyClicks(
        point_coords=_clicks_on(blob),
        blob=blob,
        threshold=_value_of_split(saliency, split),
        maximum=float(inside.max()),
        maximum_count=int((inside == inside.max()).sum()),
    )


def most_like_blob(masks: NDArray[np.bool_], clicks: SaliencyClicks) -> int:
    """The mask that the automatic start shows: the one most like the salient blob.

    By intersection over union on the grid of the masks, 0 where both are empty. Of equals the
    first.

    Args:
        masks: Mxsxs, thresholded low-resolution masks, the one with the highest predicted IoU
            first.
        clicks: Of the same image.

    Returns:
        Index into `masks`.
    """
    blob = clicks.blob_on_grid(masks.shape[-1])
    shared = (masks & blob).sum(axis=(1, 2))
    either = (masks | blob).sum(axis=(1, 2))
    return int(np.argmax(shared / np.maximum(either, 1)))


def otsu_level(counts: NDArray[np.integer]) -> int:
    """The level after which Otsu's method splits a histogram; -1 where it has one level only.

    Of splits with the same variance between the classes the lowest is taken. (scikit-image's
    `threshold_otsu` sums in float32, where rounding picks one of them.)

    Source: Otsu, "A threshold selection method from gray-level histograms", 1979.

    Args:
        counts: Pixels of each level, lowest level first.
    """
    weights = counts.astype(np.int64)
    below = np.cumsum(weights)[:-1]
    above = weights.sum() - below
    moments = np.cumsum(weights * np.arange(len(weights)))
    # Difference of the class means, times both weights: an exact integer.
    difference = moments[:-1] * above - (moments[-1] - moments[:-1]) * below
    product = np.maximum(below.astype(np.float64) * above, 1)
    variance = difference.astype(np.float64) ** 2 / product
    if variance.max() == 0:
        return -1
    return int(np.argmax(variance >= variance.max() * (1 - _TIE)))


def _checked(saliency_map: NDArray[np.floating]) -> NDArray[np.float32]:
    with np.errstate(over="ignore"):
        saliency = np.asarray(saliency_map).astype(np.float32)
    if saliency.ndim != 2 or saliency.size == 0:
        raise DataError(f"a saliency map must be HxW with at least one pixel, got {saliency.shape}")
    if not np.isfinite(saliency).all():
        raise DataError("the saliency map holds values that are not finite")
    return saliency


def _levels(saliency: NDArray[np.float32]) -> NDArray[np.int64]:
    """Saliency as one of `LEVELS` equal steps between its lowest and highest value."""
    lowest, highest = float(saliency.min()), float(saliency.max())
    if lowest == highest:
        return np.zeros(saliency.shape, np.int64)
    share = (saliency.astype(np.float64) - lowest) / (highest - lowest)
    return np.minimum((share * LEVELS).astype(np.int64), LEVELS - 1)


def _value_of_split(saliency: NDArray[np.float32], split: int) -> float:
    """The upper edge of the split's level; of a flat map its only value."""
    lowest, highest = float(saliency.min()), float(saliency.max())
    return lowest + (highest - lowest) * (split + 1) / LEVELS


def _salient_blob(saliency: NDArray[np.float32], above: NDArray[np.bool_]) -> NDArray[np.bool_]:
    from scipy import ndimage

    labels, count = ndimage.label(above, structure=np.ones((3, 3)))
    index = np.arange(1, count + 1)
    peaks = ndimage.maximum(saliency, labels, index)
    # The highest saliency is above the threshold, so only blobs that hold it are candidates.
    at_maximum = ndimage.sum_labels(saliency == peaks.max(), labels, index)
    sizes = ndimage.sum_labels(above, labels, index)
    # Labels are given in reading order, and `max` keeps the first of equals.
    best = max(range(count), key=lambda i: (at_maximum[i], sizes[i]))
    blob: NDArray[np.bool_] = labels == best + 1
    return blob


def _clicks_on(blob: NDArray[np.bool_]) -> NDArray[np.float32]:
    rows, columns = np.nonzero(blob)
    top, left = rows.min(), columns.min()
    cropped = blob[top : rows.max() + 1, left : columns.max() + 1]
    moved = [_moved_inside(x, y, cropped) for x, y in _centers_of_mass(cropped)]
    clicks: NDArray[np.float32] = (np.array(moved) + np.array([left, top])).astype(np.float32)
    return clicks


def _centers_of_mass(blob: NDArray[np.bool_]) -> list[tuple[float, float]]:
    """(x, y) of the blob's own center of mass and of its four sections."""
    area = float(blob.sum())
    center_x = float(blob.sum(axis=0) @ np.arange(blob.shape[1])) / area
    center_y = float(blob.sum(axis=1) @ np.arange(blob.shape[0])) / area
    centers = [(center_x, center_y)]
    for row_shares, row_middles in _halves(blob.shape[0], center_y):
        for column_shares, column_middles in _halves(blob.shape[1], center_x):
            by_column = (row_shares @ blob) * column_shares
            by_row = (blob @ column_shares) * row_shares
            section = float(by_column.sum())
            if section <= area * _TIE:
                centers.append(centers[0])
                continue
            x, y = by_column @ column_middles / section, by_row @ row_middles / section
            centers.append((float(x), float(y)))
    return centers


def _halves(count: int, line: float) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """The part of each unit square on one side of a line: its share, and its middle.

    Squares are centerd at 0 ... count - 1.
    """
    positions = np.arange(count, dtype=np.float64)
    before = np.clip(line - positions + 0.5, 0, 1)
    after = 1 - before
    return [(before, positions - 0.5 + before / 2), (after, positions + 0.5 - after / 2)]


def _moved_inside(x: float, y: float, blob: NDArray[np.bool_]) -> tuple[float, float]:
    """The point itself where its pixel belongs to the blob, else the nearest pixel that does."""
    column, row = int(np.floor(x + 0.5)), int(np.floor(y + 0.5))
    if blob[min(row, blob.shape[0] - 1), min(column, blob.shape[1] - 1)]:
        return x, y
    rows, columns = np.nonzero(blob)
    # To the pixel's square, not to its center: the resolution does not change which one is nearest.
    across = np.maximum(np.abs(columns - x) - 0.5, 0)
    down = np.maximum(np.abs(rows - y) - 0.5, 0)
    distances = across**2 + down**2
    # Of equally near pixels the first one in reading order, whatever rounding says.
    nearest = int(np.argmax(distances <= distances.min() * (1 + _TIE) + _TIE))
    return float(columns[nearest]), float(rows[nearest])


def saliency_of_probabilities(probabilities: NDArray[np.floating]) -> NDArray[np.float32]:
    """Probabilities in the steps of an 8-bit saliency map.

    The rule for equally salient blobs (`saliency_clicks`) means something only where saliency comes
    in steps, and a difference of 1e-7 between two runtimes must not choose another object.
    """
    saliency: NDArray[np.float32] = np.rint(np.clip(probabilities, 0, 1) * STEPS).astype(np.float32)
    return saliency / np.float32(STEPS)


def saliency_of_logits(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    """The sigmoid, in the steps of an 8-bit saliency map."""
    # Beyond 30 the sigmoid is 0 or 1 at any number of steps, and exp does not overflow.
    return saliency_of_probabilities(1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -30, 30))))

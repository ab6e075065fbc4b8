"""Measures of masks and boxes that every package needs: one overlap, one bounding box.

A box is (x0, y0, x1, y1) in pixels and names edges: pixel column x spans x to x + 1, so the box
of a single pixel (3, 5) is (3, 5, 4, 6).
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def mask_iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Intersection over union of two HxW masks, 0 to 1; two empty masks agree."""
    intersection = np.count_nonzero(a & b)
    union = np.count_nonzero(a) + np.count_nonzero(b) - intersection
    return intersection / union if union else 1.0


def box_iou(a: Sequence[float], b: Sequence[float]) -> float:
    """Intersection over union of two boxes (x0, y0, x1, y1); 0 where both are empty."""
    width, height = (min(a[i + 2], b[i + 2]) - max(a[i], b[i]) for i in (0, 1))
    intersection = max(width, 0.0) * max(height, 0.0)
    union = sum((box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)) - intersection
    return intersection / union if union > 0 else 0.0


def bounding_box(mask: NDArray[np.generic]) -> tuple[int, int, int, int]:
    """The smallest box (x0, y0, x1, y1) that holds all of a non-empty HxW mask."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1

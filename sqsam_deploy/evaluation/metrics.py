"""Overlap of two masks, and COCO's three object sizes."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray

SizeClass = Literal["small", "medium", "large"]
SIZE_CLASSES: tuple[SizeClass, ...] = ("small", "medium", "large")
#: Areas in pixels where COCO's small ends and its large begins (cocodataset.org/#detection-eval).
SMALL_AREA, LARGE_AREA = 32**2, 96**2


def mask_iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    """Intersection over union of two HxW masks, 0 to 1; two empty masks agree."""
    intersection = np.count_nonzero(a & b)
    union = np.count_nonzero(a) + np.count_nonzero(b) - intersection
    return intersection / union if union else 1.0


def size_class(area: float) -> SizeClass:
    """COCO's class of an object of `area` pixels."""
    if area < SMALL_AREA:
        return "small"
    return "medium" if area < LARGE_AREA else "large"

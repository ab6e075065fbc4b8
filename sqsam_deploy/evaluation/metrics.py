"""COCO's three object sizes."""

from typing import Literal

SizeClass = Literal["small", "medium", "large"]
SIZE_CLASSES: tuple[SizeClass, ...] = ("small", "medium", "large")
#: Areas in pixels where COCO's small ends and its large begins (cocodataset.org/#detection-eval).
SMALL_AREA, LARGE_AREA = 32**2, 96**2


def size_class(area: float) -> SizeClass:
    """COCO's class of an object of `area` pixels."""
    if area < SMALL_AREA:
        return "small"
    return "medium" if area < LARGE_AREA else "large"

"""A caller's arguments, in SAM's words, as a `Prompt` on an image: checked, and moved inside it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sqsam_deploy.errors import UsageError
from sqsam_deploy.prompts.encoding import BACKGROUND, FOREGROUND, PADDING, Prompt

Box = tuple[float, float, float, float]

#: Images with a shorter side than this may be clicked within 0..1.
_SMALL = 8


def validate_prompt(
    point_coords: ArrayLike | None,
    point_labels: ArrayLike | None,
    box: Sequence[float] | NDArray[np.floating] | None,
    image_hw: tuple[int, int],
) -> Prompt:
    """A prompt from `SamPredictor.predict`'s arguments.

    Points labeled -1 are dropped; a point outside the image, but not by more than the image's own
    size, moves to its edge; a box is cut at the image and its corners may come in any order.

    Args:
        point_coords: Nx2, (x, y) in pixels of the image.
        point_labels: N; 1 foreground, 0 background, -1 nothing.
        box: (x0, y0, x1, y1) in pixels of the image.
        image_hw: The image.

    Raises:
        UsageError: Coordinates and labels do not match or are not such, are shares of the image
            (0..1), or lie outside.
    """
    limits = np.array([image_hw[1] - 1, image_hw[0] - 1], np.float32)
    coords, labels = _points(point_coords, point_labels)
    coords, labels = coords[labels != PADDING], labels[labels != PADDING]
    corners = None if box is None else _box(box, limits)
    refuse_fractions(coords, box, image_hw)
    _refuse_far_away(coords, image_hw)
    return Prompt(np.clip(coords, 0, limits), labels, corners)


def refuse_fractions(
    point_coords: NDArray[np.floating],
    box: Sequence[float] | NDArray[np.floating] | None,
    image_hw: tuple[int, int],
) -> None:
    """Refuses coordinates in 0..1, shares of the image as other tools write them.

    As pixels they all lie on the image's first one, where nobody points. Whole numbers are left
    alone in clicks: (0, 0) is a pixel.

    Args:
        point_coords: Nx2, (x, y).
        box: (x0, y0, x1, y1), or None.
        image_hw: The image; a small one has pixels that are no mistake.

    Raises:
        UsageError: All clicks, or the box, are such.
    """
    if min(image_hw) < _SMALL:
        return
    within = bool(len(point_coords)) and bool(((point_coords >= 0) & (point_coords <= 1)).all())
    if within and bool((point_coords % 1 != 0).any()):
        given = tuple(point_coords[0].tolist())
    elif box is not None and bool(((np.asarray(box) >= 0) & (np.asarray(box) <= 1)).all()):
        given = tuple(np.asarray(box).tolist())
    else:
        return
    shown = ", ".join(f"{value:g}" for value in given)
    raise UsageError(
        f"({shown}) looks like shares of the image: give pixels of its "
        f"{image_hw[1]}x{image_hw[0]}, that is {shown} times its width and height"
    )


def _refuse_far_away(coords: NDArray[np.float32], image_hw: tuple[int, int]) -> None:
    """A finger slips off a photo, but not by another photo's width."""
    size = np.array([image_hw[1], image_hw[0]], np.float32)
    far = ((coords < -size) | (coords > 2 * size)).any(axis=1)
    if far.any():
        x, y = coords[far][0].tolist()
        raise UsageError(
            f"the click ({x:g}, {y:g}) lies far outside the image of {image_hw[1]}x{image_hw[0]} "
            "pixels"
        )


def _points(
    point_coords: ArrayLike | None, point_labels: ArrayLike | None
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    if (point_coords is None) != (point_labels is None):
        raise UsageError("point_coords and point_labels go together")
    coords = _finite("point_coords", [] if point_coords is None else point_coords)
    labels = np.asarray([] if point_labels is None else point_labels)
    coords = coords.reshape(-1, 2) if coords.size == 0 else coords
    if labels.ndim != 1 or coords.shape != (len(labels), 2):
        raise UsageError(
            f"point_coords must be Nx2 and point_labels N, got {coords.shape} and {labels.shape}"
        )
    if not np.isin(labels, (FOREGROUND, BACKGROUND, PADDING)).all():
        raise UsageError(
            "point_labels must be 1 (foreground), 0 (background) or -1 (no point); "
            "a box goes into box"
        )
    return coords, labels.astype(np.int64)


def _box(box: Sequence[float] | NDArray[np.floating], limits: NDArray[np.float32]) -> Box:
    corners = _finite("box", box)
    if corners.shape != (4,):
        raise UsageError(f"a box is (x0, y0, x1, y1), got {corners.shape}")
    low, high = np.sort(corners.reshape(2, 2), axis=0)
    if (high < 0).any() or (low > limits + 1).any():
        raise UsageError(
            f"the box {tuple(corners.tolist())} lies outside the image of "
            f"{int(limits[0]) + 1}x{int(limits[1]) + 1} pixels"
        )
    (x0, y0), (x1, y1) = np.clip([low, high], 0, limits)
    return float(x0), float(y0), float(x1), float(y1)


def _finite(name: str, values: ArrayLike) -> NDArray[np.float32]:
    try:
        array = np.asarray(values, np.float32)
    except (TypeError, ValueError):
        raise UsageError(f"{name} must be numbers") from None
    if not np.isfinite(array).all():
        raise UsageError(f"{name} must be finite numbers")
    return array

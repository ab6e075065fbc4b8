"""Points and boxes as users give them, drawn from an object's mask: the one sampler.

Coordinates are SAM's: pixels of the original photo, and real numbers. The center of pixel (i, j),
column i and row j, lies at (i, j): `encode_prompt` scales a point and marks the pixels whose index
is near it. So the whole numbers of a pixel are a point on it, and pixel i reaches from i - 0.5 to
i + 0.5.

A box (x0, y0, x1, y1) has COCO's numbers, x, y, x + width and y + height: the box of pixels 3 to 5
is 3 to 6, one more than its last pixel.
"""

import hashlib

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy._internal.geometry import bounding_box
from sqsam_deploy.errors import DataError
from sqsam_deploy.prompts.encoding import FOREGROUND, Prompt

Box = tuple[float, float, float, float]
Mask = NDArray[np.generic]
Points = NDArray[np.float32]

#: Where the noise of a drawn box is cut, in standard deviations; SAM trains with such noise.
_CUT = 2


def object_generator(seed: int, object_id: str) -> np.random.Generator:
    """A source of randomness that belongs to one object, whatever is drawn for others."""
    digest = hashlib.sha256(f"{seed}:{object_id}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def draw_points(mask: Mask, count: int, rng: np.random.Generator) -> Points:
    """Centers of pixels drawn uniformly from a mask (the paper's Table 2).

    Drawing more points from an equal generator extends the list, so the single click of an object
    is the first of its three.

    Args:
        mask: HxW, not empty; what is not 0 belongs to it.
        count: Points; a pixel may come twice.
        rng: Source of randomness.

    Returns:
        count x 2 float32, (x, y).

    Raises:
        DataError: The mask is empty.
    """
    pixels = np.flatnonzero(mask)
    if not len(pixels):
        raise DataError("an object has an empty mask")
    rows, columns = np.divmod(pixels[rng.integers(len(pixels), size=count)], mask.shape[1])
    return np.stack([columns, rows], axis=1).astype(np.float32)


def draw_points_within(mask: Mask, count: int, rng: np.random.Generator) -> Points:
    """As `draw_points`, but anywhere inside the pixels, and not outside the photo's own."""
    within = draw_points(mask, count, rng) + rng.random((count, 2)) - 0.5
    return _inside(within, (mask.shape[0], mask.shape[1]))


def jitter_points(
    points: Points, sigma: float, image_hw: tuple[int, int], rng: np.random.Generator
) -> Points:
    """Points moved by normal noise, as a finger would, and kept inside the image.

    Args:
        points: Nx2, (x, y).
        sigma: Standard deviation in pixels of the image.
        image_hw: Height and width.
        rng: Source of randomness.
    """
    return _inside(points + rng.normal(scale=sigma, size=points.shape), image_hw)


def innermost_point(mask: Mask) -> Points:
    """The center of the pixel that is farthest from a mask's border and the photo's, 1x2.

    Raises:
        DataError: The mask is empty.
    """
    depth, (x, y) = innermost_pixel(mask)
    if not depth:
        raise DataError("an object has an empty mask")
    return np.array([[x, y]], np.float32)


def innermost_pixel(
    mask: Mask, excluded: NDArray[np.bool_] | None = None
) -> tuple[float, tuple[int, int]]:
    """Distance of a mask's innermost pixel from the mask's border, and the pixel (x, y).

    The image's edge counts as a border, as in RITM (arXiv 2102.06583).

    Args:
        mask: HxW.
        excluded: HxW, pixels that cannot be it.

    Returns:
        The distance in pixels; 0 where there is no such pixel.
    """
    from scipy.ndimage import distance_transform_edt

    if not mask.any():
        return 0.0, (0, 0)
    left, top, right, bottom = bounding_box(mask)
    window = np.s_[top:bottom, left:right]
    # The distance transform of the bounding box, padded, is that of the whole image.
    depth = distance_transform_edt(np.pad(mask[window], 1))[1:-1, 1:-1]
    if excluded is not None:
        depth[excluded[window]] = 0
    y, x = np.unravel_index(int(depth.argmax()), depth.shape)
    return float(depth[y, x]), (int(x) + left, int(y) + top)


def mask_box(mask: Mask) -> Box:
    """The box of a non-empty mask."""
    x0, y0, x1, y1 = bounding_box(mask)
    return float(x0), float(y0), float(x1), float(y1)


def jitter_box(
    box: Box, sides: Box, share: float, limits: tuple[float, float], rng: np.random.Generator
) -> Box:
    """A box with each edge moved by normal noise, cut at two standard deviations and at the photo.

    Args:
        box: The exact one.
        sides: Width, height, width, height of the object: what the noise is a share of.
        share: Standard deviation, as a share of the side.
        limits: Largest x and y.
        rng: Source of randomness.
    """
    moved = np.array(box) + np.clip(rng.normal(size=4), -_CUT, _CUT) * share * np.array(sides)
    x0, y0, x1, y1 = np.clip(moved, 0, limits * 2).tolist()
    return x0, y0, x1, y1


def box_sides(box: Box) -> Box:
    """Width, height, width, height."""
    width, height = box[2] - box[0], box[3] - box[1]
    return width, height, width, height


def foreground(points: Points) -> Prompt:
    """A prompt of points on the object."""
    return Prompt(points, np.full(len(points), FOREGROUND, np.int64))


def _inside(points: NDArray[np.floating], image_hw: tuple[int, int]) -> Points:
    limits = np.array([image_hw[1] - 1, image_hw[0] - 1])
    inside: Points = np.clip(points, 0, limits).astype(np.float32)
    return inside

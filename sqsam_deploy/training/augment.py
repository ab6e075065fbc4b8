"""Augmentations of the paper, each a pure function of arrays and random numbers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from sqsam_deploy._internal.geometry import bounding_box

#: Share of a mask's area that must lie in a larger mask for it to count as nested.
CONTAINMENT = 0.9

#: Photos with longer sides are thinned out before their masks are compared.
NESTING_SIDE = 512


@dataclass(frozen=True)
class Window:
    """A rectangle of pixels: columns left..right-1, rows top..bottom-1."""

    left: int
    top: int
    right: int
    bottom: int

    @property
    def height(self) -> int:
        """Rows."""
        return self.bottom - self.top

    @property
    def width(self) -> int:
        """Columns."""
        return self.right - self.left

    def cut(self, array: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The window's part of an HxW or HxWxC array, a view."""
        return array[self.top : self.bottom, self.left : self.right]


def nested_masks(masks: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Which masks lie inside a larger one (arXiv 2312.06736, "mask merging").

    Args:
        masks: NxHxW bool.

    Returns:
        N bool: at least 90% of the mask's area lies inside one larger mask.
    """
    # SA-1B has a hundred masks a photo: at full size they would take a gigabyte.
    step = max(max(masks.shape[1:]) // NESTING_SIDE, 1)
    flat = masks[:, ::step, ::step].reshape(len(masks), -1).astype(np.float32)
    areas = flat.sum(axis=1)
    overlap = flat @ flat.T
    larger = areas[None, :] > areas[:, None]
    inside = (overlap >= CONTAINMENT * areas[:, None]) & larger & (areas[:, None] > 0)
    nested: NDArray[np.bool_] = inside.any(axis=1)
    return nested


def bounding_window(mask: NDArray[np.uint8]) -> Window:
    """The smallest window that holds all of a non-empty HxW mask."""
    return Window(*bounding_box(mask))


def centre_crop(
    image_hw: tuple[int, int],
    around: Window,
    min_side: float,
    rng: np.random.Generator,
) -> Window:
    """A random crop around an object (arXiv 2312.06736, "centre cropping").

    The crop's sides are log-uniform between a size that cuts the object a little (0.8 of its
    sides, at least `min_side` of the photo's) and the whole photo, each with its own stretch; its
    centre lies in the object's box.

    Args:
        image_hw: Height and width of the photo.
        around: The object's bounding window.
        min_side: Smallest side, as a share of the photo's.
        rng: Source of randomness.
    """
    position = rng.random()
    spans = []
    for full, start, stop in (
        (image_hw[1], around.left, around.right),
        (image_hw[0], around.top, around.bottom),
    ):
        low = min(max(min_side, 0.8 * (stop - start) / full), 1.0)
        side = np.clip(low ** (1 - position) * np.exp(rng.normal(0, 0.15)), low, 1.0) * full
        side = max(round(float(side)), 1)
        centre = rng.uniform(start, stop)
        first = int(np.clip(round(centre - side / 2), 0, full - side))
        spans.append((first, first + side))
    (left, right), (top, bottom) = spans
    return Window(left, top, right, bottom)


def mirror(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Left and right exchanged in an HxW or HxWxC array."""
    return np.ascontiguousarray(array[:, ::-1])


def jitter_colour(
    image: Image.Image, strength: float, grey: float, rng: np.random.Generator
) -> Image.Image:
    """Random brightness, contrast and tint as one table a channel, then random saturation.

    Args:
        image: RGB.
        strength: Largest relative change of brightness, contrast and saturation; channels are
            tinted by up to a third of it.
        grey: Probability that the saturation becomes zero.
        rng: Source of randomness.
    """
    brightness, contrast, saturation = rng.uniform(1 - strength, 1 + strength, 3)
    tint = rng.uniform(1 - strength / 3, 1 + strength / 3, 3)
    levels = (np.arange(256) - 128) * contrast + 128
    table = np.clip(np.outer(tint * brightness, levels), 0, 255).round().astype(np.uint8)
    if rng.random() < grey:
        saturation = 0.0
    return ImageEnhance.Color(image.point(table.ravel().tolist())).enhance(float(saturation))


def resize_image(image: NDArray[np.uint8], size: int) -> Image.Image:
    """HxWx3 stretched to the input square, as in deployment (`ModelConfig.antialias`)."""
    stretched = Image.fromarray(np.ascontiguousarray(image))
    return stretched.resize((size, size), Image.Resampling.BILINEAR)


def resize_target(mask: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """HxW mask of 0 and 1 to a size x size target: 1 where half of the area is covered."""
    grey = Image.fromarray(np.ascontiguousarray(mask) * np.uint8(255))
    covered = np.asarray(grey.resize((size, size), Image.Resampling.BOX)) >= 128
    return covered.astype(np.uint8)

"""Augmentations of the paper, each a pure function of arrays and random numbers."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from sqsam_deploy._internal.geometry import bounding_box

#: Share of a mask's area that must lie in a larger mask for it to count as nested.
CONTAINMENT = 0.9

#: Share of its photo that an object must have to be pasted into another.
SMALLEST_PASTED = 0.005
#: Sides of a photo, in pixels, below which nothing is pasted.
SMALLEST_PHOTO = 16

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
    """Which masks lie inside a larger one (arXiv 2312.06736, section 1.4).

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


def center_crop(
    image_hw: tuple[int, int],
    around: Window,
    min_side: float,
    rng: np.random.Generator,
) -> Window:
    """A random crop around an object (arXiv 2312.06736, section 1.4).

    The crop's sides are log-uniform between a size that cuts the object a little (0.8 of its
    sides, at least `min_side` of the photo's) and the whole photo, each with its own stretch; its
    center lies in the object's box.

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
        center = rng.uniform(start, stop)
        first = int(np.clip(round(center - side / 2), 0, full - side))
        spans.append((first, first + side))
    (left, right), (top, bottom) = spans
    return Window(left, top, right, bottom)


def mirror(array: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Left and right exchanged in an HxW or HxWxC array."""
    return np.ascontiguousarray(array[:, ::-1])


def can_be_pasted(mask: NDArray[np.uint8]) -> bool:
    """Whether an HxW mask is of a whole object: not a speck, and cut off on one side at most."""
    if np.count_nonzero(mask) < SMALLEST_PASTED * mask.size:
        return False
    around = bounding_window(mask)
    height, width = mask.shape
    cut = (around.top == 0, around.left == 0, around.bottom == height, around.right == width)
    return cut.count(True) <= 1


def paste(
    image: NDArray[np.uint8],
    masks: list[NDArray[np.uint8]],
    other: NDArray[np.uint8],
    mask: NDArray[np.uint8],
    rng: np.random.Generator,
) -> tuple[NDArray[np.uint8], list[NDArray[np.uint8]]]:
    """An object of another photo in front of this one (arXiv 2012.07177, "copy-paste").

    Its longer side becomes 0.2 to 0.75 of the photo's shorter one; it is mirrored half of the time.

    Args:
        image: HxWx3.
        masks: The photo's objects, HxW each.
        other: The other photo, of any size.
        mask: The object there, not empty.
        rng: Source of randomness.

    Returns:
        A new image, and its objects: the pasted one first or last, and of the others what is not
        hidden; those that are hidden by more than 60% are left out.
    """
    around, (height, width) = bounding_window(mask), image.shape[:2]
    if min(height, width) < SMALLEST_PHOTO:
        return image, masks
    longest = rng.uniform(0.2, 0.75) * min(height, width)
    scale = longest / max(around.height, around.width)
    size = max(int(around.width * scale), 4), max(int(around.height * scale), 4)
    alpha = _resized(around.cut(mask) * np.uint8(255), size)
    piece = _resized(around.cut(other), size)
    if rng.random() < 0.5:
        alpha, piece = mirror(alpha), mirror(piece)
    top, left = (
        int(rng.integers(n - m + 1)) for n, m in zip((height, width), alpha.shape, strict=True)
    )
    window = np.s_[top : top + alpha.shape[0], left : left + alpha.shape[1]]
    pasted = np.zeros((height, width), np.uint8)
    pasted[window] = alpha > 127
    if not pasted.any():
        return image, masks
    share = alpha[..., None].astype(np.float32) / 255
    image = image.copy()
    image[window] = (image[window] * (1 - share) + piece * share).astype(np.uint8)
    left_over = [(part, part & (1 - pasted)) for part in masks]
    rest = [b for a, b in left_over if np.count_nonzero(b) > 0.4 * np.count_nonzero(a)]
    return image, [pasted, *rest] if rng.random() < 0.5 else [*rest, pasted]


def _resized(array: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    picture = Image.fromarray(np.ascontiguousarray(array))
    return np.asarray(picture.resize(size, Image.Resampling.BILINEAR))


def jitter_color(
    image: Image.Image, strength: float, gray: float, rng: np.random.Generator
) -> Image.Image:
    """Random brightness, contrast and tint as one table a channel, then random saturation.

    Args:
        image: RGB.
        strength: Largest relative change of brightness, contrast and saturation; channels are
            tinted by up to a third of it.
        gray: Probability that the saturation becomes zero.
        rng: Source of randomness.
    """
    brightness, contrast, saturation = rng.uniform(1 - strength, 1 + strength, 3)
    tint = rng.uniform(1 - strength / 3, 1 + strength / 3, 3)
    levels = (np.arange(256) - 128) * contrast + 128
    table = np.clip(np.outer(tint * brightness, levels), 0, 255).round().astype(np.uint8)
    if rng.random() < gray:
        saturation = 0.0
    return ImageEnhance.Color(image.point(table.ravel().tolist())).enhance(float(saturation))


def resize_image(image: NDArray[np.uint8], size: int) -> Image.Image:
    """HxWx3 stretched to the input square, as in deployment (`ModelConfig.antialias`)."""
    stretched = Image.fromarray(np.ascontiguousarray(image))
    return stretched.resize((size, size), Image.Resampling.BILINEAR)


def resize_target(mask: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """HxW mask of 0 and 1 to a size x size target: 1 where half of the area is covered."""
    gray = Image.fromarray(np.ascontiguousarray(mask) * np.uint8(255))
    covered = np.asarray(gray.resize((size, size), Image.Resampling.BOX)) >= 128
    return covered.astype(np.uint8)

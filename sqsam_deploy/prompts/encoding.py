"""Clicks and a box, as the two early-fusion channels and as the late-fusion point list."""

from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.errors import UsageError
from sqsam_deploy.model.config import ModelConfig

FOREGROUND = 1
BACKGROUND = 0
BOX_CORNER = 2
BOX_OPPOSITE_CORNER = 3
PADDING = -1

#: What a pixel inside a disc or box has in the prompt maps, the brightest pixel of an image.
MARKED = 255


def _no_coords() -> NDArray[np.float32]:
    return np.zeros((0, 2), np.float32)


def _no_labels() -> NDArray[np.int64]:
    return np.zeros(0, np.int64)


@dataclass(frozen=True)
class Prompt:
    """A user's clicks and box, in pixels of the original image.

    Attributes:
        point_coords: Nx2 float32, (x, y).
        point_labels: N int64; 1 foreground, 0 background.
        box: (x0, y0, x1, y1) with x0 <= x1 and y0 <= y1, or None.
    """

    point_coords: NDArray[np.float32] = field(default_factory=_no_coords)
    point_labels: NDArray[np.int64] = field(default_factory=_no_labels)
    box: tuple[float, float, float, float] | None = None

    def __post_init__(self) -> None:
        if self.point_coords.shape != (len(self.point_labels), 2):
            raise UsageError(
                f"point_coords must be Nx2 for N labels, got {self.point_coords.shape} "
                f"for {len(self.point_labels)}"
            )

    def with_click(self, x: float, y: float, label: int) -> "Prompt":
        """The prompt with one more click, the latest; 1 foreground, 0 background."""
        return replace(
            self,
            point_coords=np.append(self.point_coords, np.array([[x, y]], np.float32), axis=0),
            point_labels=np.append(self.point_labels, np.int64(label)),
        )

    def without_click(self, index: int) -> "Prompt":
        """The prompt without one of its clicks; -1 is the latest.

        Raises:
            UsageError: There is no such click.
        """
        count = len(self.point_labels)
        if not -count <= index < count:
            raise UsageError(f"click {index} does not exist: the prompt has {count}")
        return replace(
            self,
            point_coords=np.delete(self.point_coords, index, axis=0),
            point_labels=np.delete(self.point_labels, index),
        )


@dataclass(frozen=True)
class EncodedPrompt:
    """A prompt as the network takes it.

    Attributes:
        prompt_maps: 2xSxS uint8, 0 or 255, in the preset's channel order.
        point_coords: Px2 float32, (x, y) in pixels of the input square; P is `config.max_points`.
        point_labels: P float32: the clicks, then the box's corners (2, 3), padded with -1.
    """

    prompt_maps: NDArray[np.uint8]
    point_coords: NDArray[np.float32]
    point_labels: NDArray[np.float32]


def encode_prompt(prompt: Prompt, image_hw: tuple[int, int], config: ModelConfig) -> EncodedPrompt:
    """Scales a prompt to the input square, draws its maps and lists its points.

    Discs hold the pixels whose center lies within `config.click_radius` of a click; the box's
    edges belong to it; without a box its channel is all marked.

    Args:
        prompt: Clicks and box in pixels of the original image.
        image_hw: Height and width of the original image.
        config: The preset.

    Raises:
        UsageError: More clicks than `config.max_clicks`.
    """
    if len(prompt.point_labels) > config.max_clicks:
        raise UsageError(
            f"{len(prompt.point_labels)} clicks given, but '{config.name}' takes at most "
            f"{config.max_clicks}"
        )
    height, width = image_hw
    scale = np.array([config.image_size / width, config.image_size / height], np.float32)
    clicks = prompt.point_coords.astype(np.float32) * scale
    corners = (
        np.zeros((0, 2), np.float32)
        if prompt.box is None
        else np.asarray(prompt.box, np.float32).reshape(2, 2) * scale
    )
    maps = _draw_maps(clicks, prompt.point_labels, corners, config)
    coords, labels = _list_points(clicks, prompt.point_labels, corners, config)
    return EncodedPrompt(maps, coords, labels)


def limit_clicks(prompt: Prompt, max_clicks: int) -> Prompt:
    """The prompt with at most `max_clicks` clicks: the first one and the latest ones.

    The first click says which object is meant, the latest ones correct what still is wrong.
    """
    if len(prompt.point_labels) <= max_clicks:
        return prompt
    kept = kept_clicks(len(prompt.point_labels), max_clicks)
    return replace(
        prompt, point_coords=prompt.point_coords[kept], point_labels=prompt.point_labels[kept]
    )


def kept_clicks(count: int, max_clicks: int) -> list[int]:
    """Positions of the clicks that `limit_clicks` keeps, of so many."""
    excess = max(count - max_clicks, 0)
    return [*range(min(count, 1)), *range(1 + excess, count)][:max_clicks]


def _draw_maps(
    clicks: NDArray[np.float32],
    labels: NDArray[np.int64],
    corners: NDArray[np.float32],
    config: ModelConfig,
) -> NDArray[np.uint8]:
    size, radius = config.image_size, config.click_radius
    click_map = np.zeros((size, size), np.uint8)
    box_map = np.zeros((size, size), np.uint8)
    if len(corners):
        # Pixel i belongs to the box when x0 <= i <= x1.
        (x0, y0), (x1, y1) = np.maximum(np.ceil(corners[0]), 0), np.floor(corners[1])
        box_map[int(y0) : max(int(y1) + 1, 0), int(x0) : max(int(x1) + 1, 0)] = MARKED
    else:
        box_map[:] = MARKED
    for (x, y), label in zip(clicks, labels, strict=True):
        if label == FOREGROUND:
            _fill_disc(click_map, x, y, radius, MARKED)
        elif config.carve_background:
            _fill_disc(box_map, x, y, radius, 0)
    clicks_first = config.map_order == "clicks-box"
    return np.stack([click_map, box_map] if clicks_first else [box_map, click_map])


def _fill_disc(target: NDArray[np.uint8], x: float, y: float, radius: int, value: int) -> None:
    """Sets the pixels within `radius` of (x, y), in place."""
    size = target.shape[0]
    left, right = max(int(x) - radius, 0), min(int(x) + radius + 2, size)
    top, bottom = max(int(y) - radius, 0), min(int(y) + radius + 2, size)
    if left >= right or top >= bottom:
        return
    dy, dx = np.ogrid[top:bottom, left:right]
    inside = (dx - x) ** 2 + (dy - y) ** 2 <= radius**2
    target[top:bottom, left:right][inside] = value


def _list_points(
    clicks: NDArray[np.float32],
    labels: NDArray[np.int64],
    corners: NDArray[np.float32],
    config: ModelConfig,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    coords = np.zeros((config.max_points, 2), np.float32)
    point_labels = np.full(config.max_points, PADDING, np.float32)
    count = len(clicks)
    coords[:count], point_labels[:count] = clicks, labels
    if len(corners):
        coords[count : count + 2] = corners
        point_labels[count : count + 2] = BOX_CORNER, BOX_OPPOSITE_CORNER
    return coords, point_labels

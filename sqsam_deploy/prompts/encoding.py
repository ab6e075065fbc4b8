"""Clicks and a box, as the two early-fusion channels and as the late-fusion point list."""

from dataclasses import dataclass, field, replace
from typing import Any

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


@dataclass(frozen=True)
class PlacedPrompt:
    """A prompt in pixels of the input square.

    Attributes:
        clicks: Nx2 float32, (x, y).
        labels: N int64.
        corners: The box's two, 2x2 float32; 0x2 without a box.
    """

    clicks: NDArray[np.float32]
    labels: NDArray[np.int64]
    corners: NDArray[np.float32]

    def points(self, config: ModelConfig) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The late-fusion list: Px2 coordinates and P labels, padded with -1."""
        coords = np.zeros((config.max_points, 2), np.float32)
        labels = np.full(config.max_points, PADDING, np.float32)
        count = len(self.clicks)
        coords[:count], labels[:count] = self.clicks, self.labels
        if len(self.corners):
            coords[count : count + 2] = self.corners
            labels[count : count + 2] = BOX_CORNER, BOX_OPPOSITE_CORNER
        return coords, labels


def place_prompt(prompt: Prompt, image_hw: tuple[int, int], config: ModelConfig) -> PlacedPrompt:
    """Scales a prompt to the input square.

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
    corners = (
        np.zeros((0, 2), np.float32)
        if prompt.box is None
        else np.asarray(prompt.box, np.float32).reshape(2, 2) * scale
    )
    clicks = prompt.point_coords.astype(np.float32) * scale
    return PlacedPrompt(clicks, prompt.point_labels, corners)


def encode_prompt(prompt: Prompt, image_hw: tuple[int, int], config: ModelConfig) -> EncodedPrompt:
    """Scales a prompt to the input square, draws its maps and lists its points.

    Arguments and errors are those of `place_prompt`; `PromptMaps` says what is drawn.
    """
    placed = place_prompt(prompt, image_hw, config)
    maps = np.empty((2, config.image_size, config.image_size), np.uint8)
    PromptMaps(maps, config).draw(placed)
    return EncodedPrompt(maps, *placed.points(config))


_Region = tuple[slice, slice]


class PromptMaps:
    """The two early-fusion channels, wherever the network reads them.

    Discs hold the pixels whose center lies within `config.click_radius` of a click; the box's
    edges belong to it; without a box its channel is all marked. Of a prompt only what differs from
    the one before is drawn: another click costs some hundred pixels, not two squares.

    Args:
        maps: 2xSxS of any type and strides, in the preset's channel order; overwritten.
        config: The preset.
        empty: What a pixel outside has.
        marked: What a pixel inside has.
    """

    def __init__(
        self, maps: NDArray[Any], config: ModelConfig, empty: int = 0, marked: int = MARKED
    ) -> None:
        self._clicks, self._box = maps if config.map_order == "clicks-box" else maps[::-1]
        self._config, self._empty, self._marked = config, empty, marked
        self._clicks[:] = empty
        self._box[:] = marked
        self._area: _Region = _whole(config)
        self._discs: list[_Region] = []
        self._holes: list[_Region] = []

    def draw(self, prompt: PlacedPrompt) -> None:
        """Makes the channels those of a prompt."""
        area = _area(prompt.corners) if len(prompt.corners) else _whole(self._config)
        for disc in self._discs:
            self._clicks[disc] = self._empty
        if area != self._area:
            self._box[self._area] = self._empty
            self._box[area] = self._marked
        for hole in self._holes:
            self._box[_common(hole, area)] = self._marked
        self._area, self._discs, self._holes = area, [], []
        for (x, y), label in zip(prompt.clicks, prompt.labels, strict=True):
            if label == FOREGROUND:
                self._discs.append(self._fill_disc(self._clicks, x, y, self._marked))
            elif self._config.carve_background:
                self._holes.append(self._fill_disc(self._box, x, y, self._empty))

    def _fill_disc(self, target: NDArray[Any], x: float, y: float, value: int) -> _Region:
        """Sets the pixels around (x, y), in place, and returns where they may lie."""
        size, radius = self._config.image_size, self._config.click_radius
        left, right = max(int(x) - radius, 0), min(int(x) + radius + 2, size)
        top, bottom = max(int(y) - radius, 0), min(int(y) + radius + 2, size)
        if left >= right or top >= bottom:
            return slice(0), slice(0)
        dy, dx = np.ogrid[top:bottom, left:right]
        inside = (dx - x) ** 2 + (dy - y) ** 2 <= radius**2
        target[top:bottom, left:right][inside] = value
        return slice(top, bottom), slice(left, right)


def _whole(config: ModelConfig) -> _Region:
    return slice(0, config.image_size), slice(0, config.image_size)


def _area(corners: NDArray[np.float32]) -> _Region:
    """Pixel i belongs to the box when x0 <= i <= x1."""
    (x0, y0), (x1, y1) = np.maximum(np.ceil(corners[0]), 0), np.floor(corners[1])
    return slice(int(y0), max(int(y1) + 1, 0)), slice(int(x0), max(int(x1) + 1, 0))


def _common(one: _Region, other: _Region) -> _Region:
    rows, columns = (
        slice(max(a.start or 0, b.start or 0), min(a.stop, b.stop))
        for a, b in zip(one, other, strict=True)
    )
    return rows, columns


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

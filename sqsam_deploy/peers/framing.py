"""How a photo is laid into an encoder's input, and masks back onto the photo."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from sqsam_deploy.model.config import PIXEL_MEAN, PIXEL_STD
from sqsam_deploy.predictor import upsample_masks
from sqsam_deploy.prompts.image import stretch_filtered

_GRAY = 114


class Framing(Protocol):
    """One way of laying a photo into a network's input. Its `repr` is all that it depends on."""

    def tensor(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The input for an HxWx3 uint8 RGB photo."""

    def points(self, coords: NDArray[np.float32], image_hw: tuple[int, int]) -> NDArray[np.float32]:
        """Nx2 pixels of the photo as the decoder takes them."""

    def cut(self, logits: NDArray[np.float32], image_hw: tuple[int, int]) -> NDArray[np.float32]:
        """The part of Mxsxs logits that shows the photo."""

    def restore(
        self, logits: NDArray[np.float32], image_hw: tuple[int, int]
    ) -> NDArray[np.float32]:
        """Mxsxs logits at the photo's size, MxHxW."""


@dataclass(frozen=True)
class Padded:
    """SAM's way: the longer side becomes `size`, zeros fill the square to the right and below.

    The input is 1x3xSxS with ImageNet's mean taken out and divided by its standard deviation.
    """

    size: int

    def scaled_hw(self, image_hw: tuple[int, int]) -> tuple[int, int]:
        """The photo's size within the square, rounded as SAM rounds it."""
        scale = self.size / max(image_hw)
        return int(image_hw[0] * scale + 0.5), int(image_hw[1] * scale + 0.5)

    def tensor(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Framing`."""
        pixels = self.scaled(image)
        mean, std = (np.float32(255) * np.asarray(c, np.float32) for c in (PIXEL_MEAN, PIXEL_STD))
        square = np.zeros((1, 3, self.size, self.size), np.float32)
        height, width = pixels.shape[:2]
        square[0, :, :height, :width] = ((pixels - mean) / std).transpose(2, 0, 1)
        return square

    def scaled(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The photo as it lies in the square, hxwx3 in 0..255."""
        image_hw = (image.shape[0], image.shape[1])
        pixels: NDArray[np.float32] = stretch_filtered(image, self.scaled_hw(image_hw)).astype("f4")
        return pixels

    def points(self, coords: NDArray[np.float32], image_hw: tuple[int, int]) -> NDArray[np.float32]:
        """See `Framing`."""
        height, width = self.scaled_hw(image_hw)
        scale = np.array([width / image_hw[1], height / image_hw[0]])
        frame: NDArray[np.float32] = (coords * scale).astype(np.float32)
        return frame

    def cut(self, logits: NDArray[np.float32], image_hw: tuple[int, int]) -> NDArray[np.float32]:
        """See `Framing`."""
        height, width = (
            -(-side * logits.shape[1] // self.size) for side in self.scaled_hw(image_hw)
        )
        return logits[:, :height, :width]

    def restore(
        self, logits: NDArray[np.float32], image_hw: tuple[int, int]
    ) -> NDArray[np.float32]:
        """As SAM does it: to the square, without the padding, to the photo."""
        height, width = self.scaled_hw(image_hw)
        square = upsample_masks(logits, (self.size, self.size))
        return upsample_masks(square[:, :height, :width], image_hw)


@dataclass(frozen=True)
class PaddedInside(Padded):
    """The same where the encoder normalizes and pads: it takes hxwx3 pixels in 0..255."""

    @override
    def tensor(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Framing`."""
        return self.scaled(image)


@dataclass(frozen=True)
class Stretched:
    """EfficientSAM's way: the photo in 0..1 at its own size; the graph stretches it to a square."""

    def tensor(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """See `Framing`."""
        return (image.transpose(2, 0, 1)[None] / np.float32(255)).astype(np.float32)

    def points(self, coords: NDArray[np.float32], image_hw: tuple[int, int]) -> NDArray[np.float32]:
        """See `Framing`."""
        return coords.astype(np.float32)

    def cut(self, logits: NDArray[np.float32], image_hw: tuple[int, int]) -> NDArray[np.float32]:
        """See `Framing`."""
        return logits

    def restore(
        self, logits: NDArray[np.float32], image_hw: tuple[int, int]
    ) -> NDArray[np.float32]:
        """See `Framing`."""
        return upsample_masks(logits, image_hw)


@dataclass(frozen=True)
class Letterboxed:
    """YOLO's way: scaled to fit into a square, centered, gray around, 0..1."""

    size: int

    def gain(self, image_hw: tuple[int, int]) -> float:
        """Pixels of the square for one of the photo."""
        return self.size / max(image_hw)

    def offset(self, image_hw: tuple[int, int]) -> tuple[int, int]:
        """Rows above and columns left of the photo."""
        gain = self.gain(image_hw)
        top, left = ((self.size - round(side * gain)) / 2 for side in image_hw)
        return round(top - 0.1), round(left - 0.1)

    def tensor(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """1x3xSxS for an HxWx3 uint8 RGB photo; not filtered when it shrinks, as OpenCV does it."""
        image_hw = (image.shape[0], image.shape[1])
        gain = self.gain(image_hw)
        height, width = (round(side * gain) for side in image_hw)
        top, left = self.offset(image_hw)
        planes = image.transpose(2, 0, 1).astype(np.float32)
        square = np.full((1, 3, self.size, self.size), _GRAY, np.float32)
        inner = np.rint(upsample_masks(planes, (height, width)))
        square[0, :, top : top + height, left : left + width] = inner
        square /= 255
        return square

    def boxes(self, boxes: NDArray[np.float32], image_hw: tuple[int, int]) -> NDArray[np.float32]:
        """Nx4 corners in the square as corners on the photo, cut at its edges."""
        top, left = self.offset(image_hw)
        corners = (boxes - np.array([left, top, left, top])) / self.gain(image_hw)
        height, width = image_hw
        return np.asarray(np.clip(corners, 0, (width, height, width, height)), np.float32)

    def restore(
        self, logits: NDArray[np.float32], image_hw: tuple[int, int]
    ) -> NDArray[np.float32]:
        """Mxsxs logits of the square at the photo's size, MxHxW."""
        side = logits.shape[1]
        gain = side / max(image_hw)
        top, left = (int((side - length * gain) / 2) for length in image_hw)
        bottom, right = (int(side - (side - length * gain) / 2) for length in image_hw)
        return upsample_masks(logits[:, top:bottom, left:right], image_hw)

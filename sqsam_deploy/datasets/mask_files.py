"""Masks in image files: what their values mean.

Tools write masks as 0 and 255, as 0 and 1, in the alpha channel, as palette indices, inverted, or
as one file of instance numbers for all objects of a photo. Where the values themselves leave no
doubt the mask is read by them; where the data set states an area and the values contradict it, the
reading that fits the statement is taken; anything else is refused.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sqsam_deploy._internal.geometry import bounding_box
from sqsam_deploy.datasets.fields import is_file
from sqsam_deploy.datasets.images import opened
from sqsam_deploy.datasets.masks import Decoded, area_agrees, box_agrees
from sqsam_deploy.datasets.problems import MaskError

#: Values up to which black, and from which white, may stray in a file with JPEG's noise.
_DARK, _BRIGHT = 31, 224
#: A value between them that this share of the object has is a label, not the softness of an edge.
_FLAT_SHARE, _FLAT_PIXELS = 0.05, 64
#: Most labels of one file that are tried one by one.
_MOST_LABELS = 256
_INVERTED = "masks stored inverted"


@dataclass(frozen=True)
class FileMask:
    """A mask in an image file of its own.

    Attributes:
        path: The file.
        height: Of the photo.
        width: Of the photo.
        area: Pixels that the data set states, or None.
        box: (x0, y0, x1, y1) that the data set states, or None.
    """

    path: Path
    height: int
    width: int
    area: float | None = None
    box: tuple[float, float, float, float] | None = None

    def decode(self) -> Decoded:
        """The mask, and how it was read where that is not the usual way.

        Raises:
            DataError: The file is missing or damaged, of another size, or ambiguous.
        """
        levels, alpha = self._levels()
        if levels.shape != (self.height, self.width):
            raise MaskError(
                f"mask {self.path}",
                "of another size than its photo",
                f"{levels.shape[1]}x{levels.shape[0]} pixels, the photo {self.width}x{self.height}",
            )
        try:
            usual = _by_values(levels, alpha, f"mask {self.path}")
        except MaskError:
            stated = self._by_statement(levels, alpha)
            if stated is None:
                raise
            return stated
        if self._fits(usual.mask):
            # What covers half of its photo, and what is left of the photo, are alike in area.
            if self._is_exact(~usual.mask) and not self._is_exact(usual.mask):
                return Decoded(~usual.mask, _INVERTED)
            return usual
        return self._by_statement(levels, alpha) or usual

    def _levels(self) -> tuple[NDArray[Any], NDArray[np.uint8] | None]:
        """HxW values, 0 to 255 or labels, and the alpha channel if there is one."""
        if not is_file(self.path):
            raise MaskError(f"mask {self.path}", "missing")
        with opened(self.path, f"mask {self.path}") as image:
            image.load()
            alpha = np.asarray(image.getchannel("A")) if image.mode in ("LA", "RGBA") else None
            return _values(image), alpha

    def _fits(self, mask: NDArray[np.bool_]) -> bool:
        if self.area is None:
            return True
        area = int(np.count_nonzero(mask))
        fits = area_agrees(area, self.area)
        return fits and (self.box is None or not area or box_agrees(bounding_box(mask), self.box))

    def _is_exact(self, mask: NDArray[np.bool_]) -> bool:
        """Whether it has the stated area and box to a rounding."""
        if self.area is None or self.box is None or not mask.any():
            return False
        missed = abs(np.count_nonzero(mask) - self.area)
        edges = zip(bounding_box(mask), self.box, strict=True)
        return bool(missed <= 1e-4 * mask.size + 2 and all(abs(a - b) <= 2 for a, b in edges))

    def _by_statement(
        self, levels: NDArray[Any], alpha: NDArray[np.uint8] | None
    ) -> Decoded | None:
        """The reading with the stated area and box, or None where none has them."""
        if self.area is None or self.box is None:
            return None
        for mask, reading in _readings(levels, alpha):
            if mask.any() and self._fits(mask):
                return Decoded(mask, reading)
        return None


def _values(image: Image.Image) -> NDArray[Any]:
    if image.mode == "1":
        return np.asarray(image.convert("L"))
    if image.mode == "P":
        shown = np.asarray(image.convert("RGB").convert("L"))
        # A palette of black and white is a picture; of other colors the indices are labels.
        black_and_white = shown.max() >= _BRIGHT and not _between(shown).any()
        indices: NDArray[Any] = shown if black_and_white else np.asarray(image)
        return indices
    if image.mode == "F":
        values: NDArray[Any] = np.nan_to_num(np.asarray(image), nan=0, posinf=0, neginf=0)
        rounded: NDArray[Any] = np.rint(values * 255 if values.max() <= 1 else values)
        return rounded.astype(np.int64)
    if image.mode.startswith("I"):
        numbers: NDArray[Any] = np.asarray(image).astype(np.int64)
        high_bytes: NDArray[Any] = numbers >> 8
        return high_bytes if numbers.max() > 4095 else numbers
    gray = image if image.mode == "L" else image.convert("RGB").convert("L")
    pixels: NDArray[Any] = np.asarray(gray)
    return pixels


def _between(levels: NDArray[Any]) -> NDArray[np.bool_]:
    inside: NDArray[np.bool_] = (levels > _DARK) & (levels < _BRIGHT)
    return inside


def _by_values(levels: NDArray[Any], alpha: NDArray[np.uint8] | None, where: str) -> Decoded:
    """The reading that the values leave no doubt about."""
    if alpha is not None and alpha.min() != alpha.max():
        return _by_alpha(levels, alpha, where)
    found = np.unique(levels[::4, ::4]) if levels.size > 2**16 else np.unique(levels)
    highest = int(levels.max())
    if highest >= _BRIGHT and highest <= 255:
        _require_no_labels(levels, where)
        return Decoded(levels > 127)
    if len(found) <= 3 and len(found := np.unique(levels)) <= 2 and (found[0] == 0 or not highest):
        return Decoded(levels > 0, f"masks stored as 0 and {highest}" if highest else "")
    middle = (levels > highest / 4) & (levels < highest * 3 / 4)
    if highest > _DARK and np.count_nonzero(middle) < 0.02 * np.count_nonzero(levels):
        # JPEG's noise around 0 and some other value than 255.
        return Decoded(levels > highest / 2, f"masks stored as 0 to {highest}")
    shown = ", ".join(str(value) for value in found[:5])
    raise MaskError(where, "values that are no mask's, perhaps instance numbers", f"{shown}, ...")


def _by_alpha(levels: NDArray[Any], alpha: NDArray[np.uint8], where: str) -> Decoded:
    opaque = alpha > 127
    visible = levels[opaque]
    bright = (levels > 127) & opaque
    if not visible.size or _between(levels).any() or visible.min() == visible.max():
        # A cut-out photo, or one color throughout: only alpha says where the object is.
        return Decoded(opaque, "masks stored in the alpha channel")
    if np.array_equal(bright, opaque):
        return Decoded(opaque)
    raise MaskError(where, "colors and alpha channel that contradict each other")


def _require_no_labels(levels: NDArray[Any], where: str) -> None:
    """A file with 255 may still be one of labels (0, 50, 100, ...)."""
    between = levels[_between(levels)]
    if not between.size:
        return
    most = int(np.bincount(between.astype(np.int64)).max())
    if most > max(_FLAT_PIXELS, _FLAT_SHARE * np.count_nonzero(levels > _DARK)):
        label = int(np.bincount(between.astype(np.int64)).argmax())
        raise MaskError(
            where,
            "values that are no mask's, perhaps instance numbers",
            f"{most} pixels have the value {label}",
        )


def _readings(
    levels: NDArray[Any], alpha: NDArray[np.uint8] | None
) -> Iterator[tuple[NDArray[np.bool_], str]]:
    """Every other way to read a file, likeliest first."""
    if alpha is not None:
        yield alpha > 127, "masks stored in the alpha channel"
        yield alpha <= 127, "masks stored in the alpha channel, inverted"
    yield levels > 127, "masks stored as 0 to 255"
    yield levels > 0, "masks stored as 0 and other values"
    yield levels <= 127, _INVERTED
    yield levels == 0, _INVERTED
    labels = np.unique(levels)
    for label in labels[labels != 0] if len(labels) <= _MOST_LABELS else ():
        yield levels == label, "masks stored as instance numbers"

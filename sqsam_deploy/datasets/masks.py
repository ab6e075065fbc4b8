"""The ways COCO stores a mask, each decoded only when somebody looks at it.

Everything is checked here, in Python: pycocotools writes outside its memory where a coordinate is
1e9 or not a number, and takes what lies in memory for a mask where run lengths are missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy._internal.geometry import bounding_box, box_iou
from sqsam_deploy.datasets.problems import MaskError

Box = tuple[float, float, float, float]
Polygons = tuple[NDArray[np.float64], ...]


class Decoded(NamedTuple):
    """A mask.

    Attributes:
        mask: HxW bool.
        reading: How it was read, where that is not as its format says; else "".
    """

    mask: NDArray[np.bool_]
    reading: str = ""


class MaskSource(Protocol):
    """Anything a mask can be had from."""

    def decode(self) -> Decoded:
        """The mask, decoded anew.

        Raises:
            DataError: The stored mask is damaged.
        """


@dataclass(frozen=True)
class PolygonMask:
    """COCO polygons, flat x, y, x, y, ... arrays in pixels that `parse_polygons` has checked."""

    label: str
    polygons: Polygons
    height: int
    width: int

    def rle(self) -> dict[str, Any]:
        """pycocotools' compressed run-length encoding."""
        coco_mask = _coco_mask()
        flat = [polygon.tolist() for polygon in self.polygons]
        merged: dict[str, Any] = coco_mask.merge(
            coco_mask.frPyObjects(flat, self.height, self.width)
        )
        return merged

    def decode(self) -> Decoded:
        """The union of the polygons."""
        return RleMask(self.label, self.rle()["counts"], self.height, self.width).decode()


@dataclass(frozen=True)
class RleMask:
    """COCO run-length encoding, compressed (bytes) or not (a tuple of run lengths)."""

    label: str
    counts: bytes | tuple[int, ...]
    height: int
    width: int

    def runs(self) -> NDArray[np.int64]:
        """Lengths of the runs of 0 and 1 in turn, down the columns.

        Raises:
            MaskError: They are damaged or do not add up to the photo.
        """
        try:
            runs = (
                _decompressed(self.counts)
                if isinstance(self.counts, bytes)
                else np.array(self.counts, np.int64)
            )
        except (ValueError, OverflowError, TypeError) as error:
            raise MaskError(self.label, "damaged run lengths", str(error)) from None
        pixels = self.height * self.width
        if (runs < 0).any() or (runs > pixels).any() or int(runs.sum()) != pixels:
            raise MaskError(
                self.label,
                "run lengths that do not add up to the photo",
                f"they add up to {int(runs.sum())} pixels, the photo has {pixels}",
            )
        return runs

    def rle(self) -> dict[str, Any]:
        """pycocotools' compressed run-length encoding."""
        size = [self.height, self.width]
        uncompressed = {"size": size, "counts": self.runs().tolist()}
        compressed: dict[str, Any] = _coco_mask().frPyObjects(uncompressed, *size)
        return compressed

    def decode(self) -> Decoded:
        """The runs, one after the other down the columns."""
        runs = self.runs()
        flat = np.repeat(np.arange(len(runs)) % 2 == 1, runs)
        return Decoded(np.ascontiguousarray(flat.reshape(self.width, self.height).T))


def _decompressed(counts: bytes) -> NDArray[np.int64]:
    """COCO's compressed run lengths: 5 bits a character, lowest first, most as differences.

    Source: `rleFrString` of cocoapi's maskApi.c.
    """
    characters = np.frombuffer(counts, np.uint8).astype(np.int64) - 48
    if not len(characters):
        return np.zeros(0, np.int64)
    last = (characters & 32) == 0
    if (characters < 0).any() or (characters > 63).any() or not last[-1]:
        raise ValueError("a character is none of the encoding's, or the text is cut off")
    ends = np.flatnonzero(last)
    starts = np.concatenate([[0], ends[:-1] + 1])
    lengths = ends - starts + 1
    if lengths.max() > 8:
        raise ValueError("a run length has more than 40 bits")
    place = np.arange(len(characters)) - np.repeat(starts, lengths)
    values = np.add.reduceat((characters & 31) << (5 * place), starts)
    values -= np.where(characters[ends] & 16, np.int64(1) << (5 * lengths), 0)
    # From the fourth on, each is the difference to the one two before it.
    values[1::2] = np.cumsum(values[1::2])
    values[2::2] = np.cumsum(values[2::2])
    return values


def parse_polygons(stored: Sequence[Any], label: str, height: int, width: int) -> Polygons:
    """COCO's list of polygons, checked; parts with fewer than 3 points have no area and go.

    Raises:
        MaskError: A coordinate is no finite number, or lies further outside the photo than the
            photo is large; or no part has an area.
    """
    # One polygon that is not in a list of polygons.
    parts = [stored] if stored and not isinstance(stored[0], list) else stored
    polygons = []
    for part in parts:
        if not isinstance(part, list):
            raise MaskError(label, "a polygon that is not a list of numbers")
        try:
            points = np.array(part, np.float64)
        except (TypeError, ValueError, OverflowError):
            raise MaskError(label, "a polygon that is not a list of numbers") from None
        if points.ndim != 1 or not np.isfinite(points).all():
            raise MaskError(label, "a polygon that is not a list of finite numbers")
        if len(points) % 2:
            raise MaskError(label, "a polygon with an odd number of coordinates")
        for values, side in ((points[0::2], width), (points[1::2], height)):
            if len(values) and (values.min() < -side - 1 or values.max() > 2 * side + 1):
                raise MaskError(label, "a polygon far outside its photo")
        if len(points) >= 6:
            polygons.append(points)
    if not polygons:
        kind = "a polygon of fewer than 3 points" if stored and stored[0] else "no segmentation"
        raise MaskError(label, kind)
    return tuple(polygons)


def area_agrees(pixels: float, stated: float) -> bool:
    """Whether a stated area can be that of a mask.

    Areas of polygons, of masks that were scaled and of masks whose outline is drawn with them
    differ by some of the outline's pixels, which grow as the square root of the area.
    """
    larger = max(pixels, stated)
    return bool(abs(pixels - stated) <= 0.15 * larger + 4 * larger**0.5 + 8)


def box_agrees(tight: Sequence[float], stated: Sequence[float]) -> bool:
    """Whether a stated box can be a mask's: half of their union in common, or edges within 4."""
    distance = max(abs(a - b) for a, b in zip(tight, stated, strict=True))
    return distance <= 4 or box_iou(tight, stated) >= 0.5


def extent(source: MaskSource) -> tuple[float, Box]:
    """Area and box of a mask, for a data set that states none.

    Raises:
        DataError: The mask cannot be decoded, or is empty.
    """
    mask = source.decode().mask
    if not mask.any():
        raise MaskError(str(getattr(source, "path", getattr(source, "label", "mask"))), "empty")
    x0, y0, x1, y1 = (float(edge) for edge in bounding_box(mask))
    return float(np.count_nonzero(mask)), (x0, y0, x1, y1)


def _coco_mask() -> Any:
    from pycocotools import mask

    return mask

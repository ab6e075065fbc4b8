"""The ways a mask is stored, each decoded only when somebody looks at it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sqsam_deploy.errors import DataError, MissingDependencyError


class MaskSource(Protocol):
    """Anything a mask can be had from."""

    def decode(self) -> NDArray[np.bool_]:
        """HxW bool.

        Raises:
            DataError: The stored mask is damaged.
        """


@dataclass(frozen=True)
class FileMask:
    """A mask in an image file of its own; pixels above half of the range belong to the object."""

    path: Path
    height: int
    width: int

    def decode(self) -> NDArray[np.bool_]:
        """HxW bool."""
        try:
            with Image.open(self.path) as image:
                pixels = np.asarray(image if image.mode == "1" else image.convert("L"))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise DataError(f"mask {self.path} cannot be read: {error}") from error
        if pixels.shape != (self.height, self.width):
            raise DataError(
                f"mask {self.path} is {pixels.shape[1]}x{pixels.shape[0]} pixels, its image "
                f"{self.width}x{self.height}"
            )
        mask: NDArray[np.bool_] = pixels if pixels.dtype == np.bool_ else pixels > 127
        return mask


@dataclass(frozen=True)
class PolygonMask:
    """COCO polygons; each is a flat x, y, x, y, ... array in pixels."""

    label: str
    polygons: tuple[NDArray[np.float64], ...]
    height: int
    width: int

    def rle(self) -> dict[str, Any]:
        """pycocotools' compressed run-length encoding."""
        coco_mask = _coco_mask()
        try:
            flat = [polygon.tolist() for polygon in self.polygons]
            merged: dict[str, Any] = coco_mask.merge(
                coco_mask.frPyObjects(flat, self.height, self.width)
            )
        except (TypeError, ValueError, AttributeError) as error:
            raise DataError(f"polygons of {self.label} cannot be decoded: {error}") from error
        return merged

    def decode(self) -> NDArray[np.bool_]:
        """HxW bool."""
        mask: NDArray[np.bool_] = _coco_mask().decode(self.rle()).astype(bool)
        return mask


@dataclass(frozen=True)
class RleMask:
    """COCO run-length encoding, compressed (bytes) or not (a tuple of run lengths)."""

    label: str
    counts: bytes | tuple[int, ...]
    height: int
    width: int

    def rle(self) -> dict[str, Any]:
        """pycocotools' compressed run-length encoding."""
        size = [self.height, self.width]
        if isinstance(self.counts, bytes):
            return {"size": size, "counts": self.counts}
        if sum(self.counts) != self.height * self.width:
            raise DataError(
                f"run lengths of {self.label} add up to {sum(self.counts)} pixels, the image has "
                f"{self.height * self.width}"
            )
        uncompressed = {"size": size, "counts": list(self.counts)}
        compressed: dict[str, Any] = _coco_mask().frPyObjects(uncompressed, *size)
        return compressed

    def decode(self) -> NDArray[np.bool_]:
        """HxW bool."""
        try:
            mask: NDArray[np.bool_] = _coco_mask().decode(self.rle()).astype(bool)
        except (TypeError, ValueError) as error:
            raise DataError(f"run lengths of {self.label} cannot be decoded: {error}") from error
        return mask


def _coco_mask() -> Any:
    try:
        from pycocotools import mask
    except ImportError:
        raise MissingDependencyError(
            "COCO and LVIS masks need pycocotools: pip install 'sqsam-deploy[eval]'"
        ) from None
    return mask

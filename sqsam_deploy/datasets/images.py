"""Photos as RGB arrays, whatever the file holds."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

from sqsam_deploy.datasets.records import ImageRecord
from sqsam_deploy.errors import DataError

#: What shows through transparent pixels.
BACKGROUND = (255, 255, 255)
_DAMAGED = (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError)


def load_image(record: ImageRecord) -> NDArray[np.uint8]:
    """An image upright, in the orientation its masks were drawn in.

    EXIF orientation is applied, unless only the unrotated pixels have the size that the dataset
    states: some annotation tools ignored the tag.

    Args:
        record: The image; only `path`, `width` and `height` are used.

    Returns:
        HxWx3 uint8 RGB.

    Raises:
        DataError: The file is missing, damaged, or not of the stated size.
    """
    stored = _decode(record.path)
    upright = ImageOps.exif_transpose(stored)
    size = (record.width, record.height)
    image = stored if upright.size != size and stored.size == size else upright
    if image.size != size:
        raise DataError(
            f"image {record.path} is {image.width}x{image.height} pixels, the dataset states "
            f"{record.width}x{record.height}"
        )
    return np.asarray(_to_rgb(image))


def read_image(path: Path) -> NDArray[np.uint8]:
    """An image file without a dataset: upright HxWx3 uint8 RGB.

    Raises:
        DataError: The file is missing or damaged.
    """
    return np.asarray(_to_rgb(ImageOps.exif_transpose(_decode(path))))


def decode_image(content: bytes, name: str) -> NDArray[np.uint8]:
    """An image file's bytes as `read_image` reads them; `name` is what a message calls it.

    Raises:
        DataError: The bytes are damaged or no image.
    """
    return np.asarray(_to_rgb(ImageOps.exif_transpose(_load(io.BytesIO(content), name))))


def _decode(path: Path) -> Image.Image:
    if not path.is_file():
        raise DataError(f"image {path} does not exist")
    return _load(path, str(path))


def _load(source: Path | io.BytesIO, name: str) -> Image.Image:
    try:
        with Image.open(source) as image:
            image.load()
            return image
    except _DAMAGED as error:
        raise DataError(f"image {name} cannot be read: {error}") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    """Grayscale, palette, CMYK, 16 bit and alpha as 8-bit RGB; transparency shows white."""
    if image.mode.startswith("I"):
        # Pillow clips 16-bit grayscale when it converts; the high byte is what is wanted.
        return Image.fromarray((np.asarray(image) >> 8).astype(np.uint8)).convert("RGB")
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        backdrop = Image.new("RGBA", rgba.size, (*BACKGROUND, 255))
        return Image.alpha_composite(backdrop, rgba).convert("RGB")
    return image.convert("RGB")

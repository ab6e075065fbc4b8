"""A mask as pictures: the mask itself, a cut-out with transparency, an overlay."""

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sqsam_deploy._internal.atomic import atomic_write

#: Colour of an overlay, RGB.
HIGHLIGHT = (30, 144, 255)


def overlay(
    image: NDArray[np.uint8], mask: NDArray[np.bool_], opacity: float = 0.55
) -> NDArray[np.uint8]:
    """The image with the mask tinted and its outline drawn. HxWx3 uint8, HxW bool -> HxWx3."""
    from scipy import ndimage

    tint = np.array(HIGHLIGHT, np.float32)
    shown = image.astype(np.float32)
    shown[mask] = (1 - opacity) * shown[mask] + opacity * tint
    width = max(1, round(min(mask.shape) / 200))
    edge = mask & ~ndimage.binary_erosion(mask, iterations=width, border_value=1)
    shown[edge] = 255
    return shown.round().astype(np.uint8)


def cutout(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The image, transparent outside the mask. HxWx3 uint8, HxW bool -> HxWx4 uint8."""
    alpha = np.where(mask, 255, 0).astype(np.uint8)
    return np.dstack([image, alpha])


def write_pictures(
    directory: Path, stem: str, image: NDArray[np.uint8], mask: NDArray[np.bool_]
) -> tuple[Path, ...]:
    """Writes STEM-mask.png, STEM-cutout.png and STEM-overlay.png; each appears whole.

    Raises:
        OSError: The directory cannot be made or written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    pictures = {
        "mask": np.where(mask, 255, 0).astype(np.uint8),
        "cutout": cutout(image, mask),
        "overlay": overlay(image, mask),
    }
    return tuple(
        _write_png(directory / f"{stem}-{name}.png", pixels) for name, pixels in pictures.items()
    )


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """HxW gray, HxWx3 RGB or HxWx4 RGBA as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()


def _write_png(path: Path, pixels: NDArray[np.uint8]) -> Path:
    atomic_write(path, encode_png(pixels))
    return path

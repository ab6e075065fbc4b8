"""Masks and prompts on a photo: the one place that draws them.

Pictures are HxWx3 uint8 RGB and stay so; what makes files and addresses of them is at the end.
"""

import base64
import io
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sqsam_deploy._internal.atomic import atomic_file
from sqsam_deploy.prompts import Prompt
from sqsam_deploy.prompts.encoding import FOREGROUND

Color = tuple[int, int, int]

MASK: Color = (30, 144, 255)
#: What only the float reference has, and what only the artifact has.
LOST: Color = (230, 40, 40)
GAINED: Color = (255, 190, 0)
_PROMPT: Color = (0, 230, 90)


@dataclass(frozen=True)
class Picture:
    """A caption and a `data:` address that needs no other file."""

    caption: str
    address: str


def tinted(
    image: NDArray[np.uint8], mask: NDArray[np.bool_], color: Color = MASK, opacity: float = 0.55
) -> NDArray[np.uint8]:
    """The image with the mask in a color that the photo shines through. HxWx3, HxW -> HxWx3."""
    shown = image.copy()
    shown[mask] = np.rint((1 - opacity) * image[mask] + opacity * np.array(color))
    return shown


def overlay(
    image: NDArray[np.uint8], mask: NDArray[np.bool_], opacity: float = 0.55
) -> NDArray[np.uint8]:
    """The image with the mask tinted and its outline drawn. HxWx3 uint8, HxW bool -> HxWx3."""
    from scipy import ndimage

    shown = tinted(image, mask, opacity=opacity)
    width = max(1, round(min(mask.shape) / 200))
    edge = mask & ~ndimage.binary_erosion(mask, iterations=width, border_value=1)
    shown[edge] = 255
    return shown


def with_prompt(image: NDArray[np.uint8], prompt: Prompt, width: int) -> NDArray[np.uint8]:
    """The image with its box and clicks; `width` of a line in pixels."""
    drawn = Image.fromarray(image)
    pen = ImageDraw.Draw(drawn)
    if prompt.box is not None:
        pen.rectangle(prompt.box, outline=_PROMPT, width=width)
    for (x, y), label in zip(prompt.point_coords.tolist(), prompt.point_labels, strict=True):
        color = _PROMPT if label == FOREGROUND else LOST
        pen.circle((x, y), 2.5 * width, fill=color, outline=(255, 255, 255))
    return np.asarray(drawn)


def with_difference(
    image: NDArray[np.uint8], before: NDArray[np.bool_], after: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    """The image with what only one of two masks has tinted: red before, yellow after."""
    return tinted(tinted(image, before & ~after, LOST), after & ~before, GAINED)


def cutout(image: NDArray[np.uint8], mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The image, transparent outside the mask. HxWx3 uint8, HxW bool -> HxWx4 uint8."""
    alpha = np.where(mask, 255, 0).astype(np.uint8)
    return np.dstack([image, alpha])


def data_address(pixels: NDArray[np.uint8], side: int) -> str:
    """A JPEG whose longer side is at most `side` pixels, as an address."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((side, side))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"


def write_pictures(
    directory: Path, stem: str, image: NDArray[np.uint8], mask: NDArray[np.bool_]
) -> tuple[Path, ...]:
    """Writes STEM-mask.png, STEM-cutout.png and STEM-overlay.png: all of them, whole, or none.

    Raises:
        OSError: The directory cannot be made or written.
    """
    directory.mkdir(parents=True, exist_ok=True)
    pictures = {
        "mask": np.where(mask, 255, 0).astype(np.uint8),
        "cutout": cutout(image, mask),
        "overlay": overlay(image, mask),
    }
    files = {directory / f"{stem}-{name}.png": pixels for name, pixels in pictures.items()}
    with ExitStack() as written:
        for path, pixels in files.items():
            written.enter_context(atomic_file(path)).write_bytes(encode_png(pixels))
    return tuple(files)


def encode_png(pixels: NDArray[np.uint8]) -> bytes:
    """HxW gray, HxWx3 RGB or HxWx4 RGBA as a PNG file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, format="PNG")
    return buffer.getvalue()

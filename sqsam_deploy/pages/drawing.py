"""Masks and prompts on a photo, small enough to travel inside a page."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sqsam_deploy.prompts import Prompt
from sqsam_deploy.prompts.encoding import FOREGROUND

Colour = tuple[int, int, int]

MASK: Colour = (30, 160, 255)
#: What only the float reference has, and what only the artifact has.
LOST: Colour = (230, 40, 40)
GAINED: Colour = (255, 190, 0)
_PROMPT: Colour = (0, 230, 90)


@dataclass(frozen=True)
class Picture:
    """A caption and a `data:` address that needs no other file."""

    caption: str
    address: str


def tinted(image: NDArray[np.uint8], mask: NDArray[np.bool_], colour: Colour) -> NDArray[np.uint8]:
    """The image with the mask in a colour that the photo shines through."""
    shown = image.copy()
    shown[mask] = (0.45 * image[mask] + 0.55 * np.array(colour)).astype(np.uint8)
    return shown


def with_prompt(image: NDArray[np.uint8], prompt: Prompt, width: int) -> NDArray[np.uint8]:
    """The image with its box and clicks; `width` of a line in pixels."""
    drawn = Image.fromarray(image)
    pen = ImageDraw.Draw(drawn)
    if prompt.box is not None:
        pen.rectangle(prompt.box, outline=_PROMPT, width=width)
    for (x, y), label in zip(prompt.point_coords.tolist(), prompt.point_labels, strict=True):
        colour = _PROMPT if label == FOREGROUND else LOST
        pen.circle((x, y), 2.5 * width, fill=colour, outline=(255, 255, 255))
    return np.asarray(drawn)


def data_address(pixels: NDArray[np.uint8], side: int) -> str:
    """A JPEG whose longer side is at most `side` pixels, as an address."""
    picture = Image.fromarray(pixels)
    picture.thumbnail((side, side))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"

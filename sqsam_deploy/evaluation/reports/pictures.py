"""An exhibit as five small pictures: prompt, truth, float, artifact, difference."""

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw

from sqsam_deploy.evaluation.gallery import Exhibit
from sqsam_deploy.prompts import Prompt
from sqsam_deploy.prompts.encoding import FOREGROUND

#: Longer side of a picture, in pixels.
SIDE = 220
#: Share of the object's size that is shown around it.
MARGIN = 0.25

_MASK = (30, 160, 255)
_LOST, _GAINED = (230, 40, 40), (255, 190, 0)
_PROMPT = (0, 230, 90)


@dataclass(frozen=True)
class Picture:
    """A caption and a `data:` address that needs no other file."""

    caption: str
    address: str


def pictures(exhibit: Exhibit) -> list[Picture]:
    """Crops around the object, all of the same part of the image.

    In the difference, red is what only the float reference had, yellow what only the artifact has.
    """
    window = _window(exhibit)
    shown = {
        "prompt": _with_prompt(exhibit.image, exhibit.query.prompt, window),
        "truth": _with_mask(exhibit.image, exhibit.truth, _MASK),
        f"{exhibit.reference}: {exhibit.pair.before.iou:.3f}": _with_mask(
            exhibit.image, exhibit.before, _MASK
        ),
        f"{exhibit.artifact}: {exhibit.pair.after.iou:.3f}": _with_mask(
            exhibit.image, exhibit.after, _MASK
        ),
        "difference": _difference(exhibit),
    }
    return [Picture(caption, _data_address(pixels[window])) for caption, pixels in shown.items()]


def _window(exhibit: Exhibit) -> tuple[slice, slice]:
    seen = exhibit.truth | exhibit.before | exhibit.after
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    margin = int(MARGIN * max(len(rows), len(columns))) + 8
    return (
        slice(max(int(rows[0]) - margin, 0), int(rows[-1]) + margin),
        slice(max(int(columns[0]) - margin, 0), int(columns[-1]) + margin),
    )


def _with_mask(
    image: NDArray[np.uint8], mask: NDArray[np.bool_], colour: tuple[int, int, int]
) -> NDArray[np.uint8]:
    shown = image.copy()
    shown[mask] = (0.45 * image[mask] + 0.55 * np.array(colour)).astype(np.uint8)
    return shown


def _difference(exhibit: Exhibit) -> NDArray[np.uint8]:
    gray = np.repeat(exhibit.image.mean(2, keepdims=True), 3, 2).astype(np.uint8)
    lost = _with_mask(gray, exhibit.before & ~exhibit.after, _LOST)
    return _with_mask(lost, exhibit.after & ~exhibit.before, _GAINED)


def _with_prompt(
    image: NDArray[np.uint8], prompt: Prompt, window: tuple[slice, slice]
) -> NDArray[np.uint8]:
    drawn = Image.fromarray(image)
    pen = ImageDraw.Draw(drawn)
    shown = max(
        min(part.stop, side) - part.start
        for part, side in zip(window, image.shape[:2], strict=True)
    )
    width = max(round(shown / 90), 1)
    if prompt.box is not None:
        pen.rectangle(prompt.box, outline=_PROMPT, width=width)
    for (x, y), label in zip(prompt.point_coords.tolist(), prompt.point_labels, strict=True):
        colour = _PROMPT if label == FOREGROUND else _LOST
        pen.circle((x, y), 2.5 * width, fill=colour, outline=(255, 255, 255))
    return np.asarray(drawn)


def _data_address(pixels: NDArray[np.uint8]) -> str:
    picture = Image.fromarray(pixels)
    picture.thumbnail((SIDE, SIDE))
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=80)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode('ascii')}"

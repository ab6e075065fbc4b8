"""An exhibit as five small pictures: prompt, truth, float, artifact, difference."""

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.evaluation.worst_cases import WorstCase
from sqsam_deploy.pictures import (
    GAINED,
    LOST,
    MASK,
    Picture,
    data_address,
    tinted,
    with_prompt,
)
from sqsam_deploy.prompts import Prompt

#: Longer side of a picture, in pixels.
SIDE = 220
#: Share of the object's size that is shown around it.
MARGIN = 0.25


def pictures(exhibit: WorstCase) -> list[Picture]:
    """Crops around the object, all of the same part of the image.

    In the difference, red is what only the float reference had, yellow what only the artifact has.
    """
    window = _window(exhibit)
    shown = {
        "prompt": _with_prompt(exhibit.image, exhibit.query.prompt, window),
        "truth": tinted(exhibit.image, exhibit.truth, MASK),
        f"{exhibit.reference}: {exhibit.pair.before.iou:.3f}": tinted(
            exhibit.image, exhibit.before, MASK
        ),
        f"{exhibit.artifact}: {exhibit.pair.after.iou:.3f}": tinted(
            exhibit.image, exhibit.after, MASK
        ),
        "difference": _difference(exhibit),
    }
    return [
        Picture(caption, data_address(pixels[window], SIDE)) for caption, pixels in shown.items()
    ]


def _window(exhibit: WorstCase) -> tuple[slice, slice]:
    seen = exhibit.truth | exhibit.before | exhibit.after
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    margin = int(MARGIN * max(len(rows), len(columns))) + 8
    return (
        slice(max(int(rows[0]) - margin, 0), int(rows[-1]) + margin),
        slice(max(int(columns[0]) - margin, 0), int(columns[-1]) + margin),
    )


def _difference(exhibit: WorstCase) -> NDArray[np.uint8]:
    gray = np.repeat(exhibit.image.mean(2, keepdims=True), 3, 2).astype(np.uint8)
    lost = tinted(gray, exhibit.before & ~exhibit.after, LOST)
    return tinted(lost, exhibit.after & ~exhibit.before, GAINED)


def _with_prompt(
    image: NDArray[np.uint8], prompt: Prompt, window: tuple[slice, slice]
) -> NDArray[np.uint8]:
    shown = max(
        min(part.stop, side) - part.start
        for part, side in zip(window, image.shape[:2], strict=True)
    )
    return with_prompt(image, prompt, max(round(shown / 90), 1))

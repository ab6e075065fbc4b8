"""Prompts as users give them, drawn from an object's mask: what int8 ranges are measured with.

The kinds are those that this package trains with: clicks, a box, both, nothing. The paper names
clicks and a box as inputs (arXiv 2312.06736, section 1.2), not how often it trained with which.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.prompts import Prompt
from sqsam_deploy.prompts.sampling import (
    box_sides,
    draw_points,
    foreground,
    jitter_box,
    mask_box,
)

#: Most clicks of one drawn prompt.
MAX_DRAWN_CLICKS = 5
#: Standard deviation of a box edge, as a share of the box's side; SAM trains with this jitter.
BOX_JITTER = 0.1

Mask = NDArray[np.bool_]


def draw_prompt(mask: Mask, kind: int, rng: np.random.Generator) -> Prompt:
    """A prompt for one object.

    Args:
        mask: HxW bool, not empty.
        kind: Counts through one click, several clicks, a box, a box with clicks, nothing.
        rng: Source of randomness.
    """
    return _KINDS[kind % len(_KINDS)](mask, rng)


def _one_click(mask: Mask, rng: np.random.Generator) -> Prompt:
    return foreground(draw_points(mask, 1, rng))


def _several_clicks(mask: Mask, rng: np.random.Generator) -> Prompt:
    return foreground(draw_points(mask, int(rng.integers(2, MAX_DRAWN_CLICKS + 1)), rng))


def _box(mask: Mask, rng: np.random.Generator) -> Prompt:
    exact = mask_box(mask)
    # To the centers of the last pixels, not past them: published int8 ranges were measured so.
    x0, y0, x1, y1 = exact[0], exact[1], exact[2] - 1, exact[3] - 1
    limits = (mask.shape[1] - 1, mask.shape[0] - 1)
    return Prompt(box=jitter_box((x0, y0, x1, y1), box_sides(exact), BOX_JITTER, limits, rng))


def _box_with_clicks(mask: Mask, rng: np.random.Generator) -> Prompt:
    clicks = foreground(draw_points(mask, int(rng.integers(1, 4)), rng))
    return Prompt(clicks.point_coords, clicks.point_labels, _box(mask, rng).box)


def _nothing(mask: Mask, rng: np.random.Generator) -> Prompt:
    return Prompt()


_KINDS: tuple[Callable[[Mask, np.random.Generator], Prompt], ...] = (
    _one_click,
    _several_clicks,
    _box,
    _box_with_clicks,
    _nothing,
)
#: Kinds of prompts that `draw_prompt` counts through.
PROMPT_KINDS = len(_KINDS)

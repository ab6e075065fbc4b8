"""Prompts as users give them, drawn from an object's mask: what int8 ranges are measured with.

The kinds are those the network was trained on (arXiv 2312.06736, section 3): clicks, a box, both.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.prompts import Prompt
from sqsam_deploy.prompts.encoding import FOREGROUND

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
    return _clicks(mask, 1, rng)


def _several_clicks(mask: Mask, rng: np.random.Generator) -> Prompt:
    return _clicks(mask, int(rng.integers(2, MAX_DRAWN_CLICKS + 1)), rng)


def _clicks(mask: Mask, count: int, rng: np.random.Generator) -> Prompt:
    rows, columns = np.nonzero(mask)
    chosen = rng.integers(len(rows), size=count)
    points = np.stack([columns[chosen], rows[chosen]], axis=1).astype(np.float32)
    return Prompt(points, np.full(count, FOREGROUND, np.int64))


def _box(mask: Mask, rng: np.random.Generator) -> Prompt:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    tight = np.array([columns[0], rows[0], columns[-1], rows[-1]], np.float64)
    sides = np.tile(tight[2:] - tight[:2] + 1, 2)
    moved = tight + np.clip(rng.normal(size=4), -2, 2) * BOX_JITTER * sides
    limits = np.tile(np.array(mask.shape[::-1]) - 1, 2)
    x0, y0, x1, y1 = np.clip(moved, 0, limits).tolist()
    return Prompt(box=(x0, y0, x1, y1))


def _box_with_clicks(mask: Mask, rng: np.random.Generator) -> Prompt:
    clicks = _clicks(mask, int(rng.integers(1, 4)), rng)
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

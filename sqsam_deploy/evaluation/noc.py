"""Simulated clicking and the number of clicks it takes (NoC).

RITM's rules (Sofiiuk et al., "Reviving Iterative Training with Mask Guidance for Interactive
Segmentation", arXiv 2102.06583, section 4): the next click goes to the center of the larger of
the two error regions, missed object or false object, that is to the maximum of its distance
transform; 20 clicks at most.

The network takes `config.max_clicks` clicks. Beyond them it is shown the first click, which says
which object is meant, and the latest ones, which say what is still wrong (`limit_clicks`); the
count goes on.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy._internal.geometry import mask_iou
from sqsam_deploy.prompts import Prompt
from sqsam_deploy.prompts.encoding import BACKGROUND, FOREGROUND
from sqsam_deploy.prompts.sampling import innermost_pixel

MAX_CLICKS = 20
#: IoUs whose number of clicks is reported.
NOC_TARGETS = (0.80, 0.85, 0.90)

Predict = Callable[[Prompt], NDArray[np.bool_]]


@dataclass(frozen=True)
class Click:
    """One simulated click, on the center of pixel (x, y)."""

    x: int
    y: int
    label: int


def simulate_clicks(
    predict: Predict, truth: NDArray[np.bool_], max_clicks: int = MAX_CLICKS
) -> tuple[float, ...]:
    """IoU after each click, until the highest target is reached.

    Args:
        predict: The mask, HxW bool, for the clicks so far.
        truth: HxW bool, not empty.
        max_clicks: When to give up.

    Returns:
        One IoU a click; the list ends early where `NOC_TARGETS[-1]` was reached.
    """
    mask = np.zeros_like(truth)
    clicked = np.zeros_like(truth)
    clicks: list[Click] = []
    ious: list[float] = []
    while len(clicks) < max_clicks and (not ious or ious[-1] < NOC_TARGETS[-1]):
        click = next_click(mask, truth, clicked)
        if click is None:
            break
        clicked[click.y, click.x] = True
        clicks.append(click)
        mask = predict(_prompt(clicks))
        ious.append(mask_iou(mask, truth))
    return tuple(ious)


def next_click(
    mask: NDArray[np.bool_], truth: NDArray[np.bool_], clicked: NDArray[np.bool_]
) -> Click | None:
    """The click a user would make next, or None where nothing is wrong.

    Args:
        mask: HxW, what is shown.
        truth: HxW, what is wanted.
        clicked: HxW, pixels that were clicked before; they are not clicked twice.
    """
    missed, missed_at = innermost_pixel(truth & ~mask, clicked)
    false, false_at = innermost_pixel(mask & ~truth, clicked)
    if missed == false == 0:
        return None
    (x, y), label = (missed_at, FOREGROUND) if missed > false else (false_at, BACKGROUND)
    return Click(x, y, label)


def _prompt(clicks: list[Click]) -> Prompt:
    coords = np.array([(click.x, click.y) for click in clicks], np.float32)
    return Prompt(coords, np.array([click.label for click in clicks], np.int64))


def number_of_clicks(ious: tuple[float, ...], target: float, max_clicks: int = MAX_CLICKS) -> int:
    """Clicks until `target` was reached; `max_clicks` where it never was (RITM's NoC)."""
    return next((count for count, iou in enumerate(ious, 1) if iou >= target), max_clicks)

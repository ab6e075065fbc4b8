"""Prompts a user could have given for an object, drawn from its mask."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy._internal.geometry import bounding_box
from sqsam_deploy.prompts.encoding import BACKGROUND, FOREGROUND, Prompt
from sqsam_deploy.prompts.sampling import (
    Box,
    Points,
    box_sides,
    draw_points_within,
    jitter_box,
    mask_box,
)
from sqsam_deploy.training.recipe import PromptMix


@dataclass(frozen=True)
class TargetObject:
    """An object to ask for.

    Attributes:
        mask: HxW uint8, 0 or 1, not empty.
        background: HxW uint8, 1 where the photo shows none of its objects.
    """

    mask: NDArray[np.uint8]
    background: NDArray[np.uint8]


def draw_prompt(target: TargetObject, mix: PromptMix, rng: np.random.Generator) -> Prompt:
    """A prompt for one object. The empty prompt is left to `draws_nothing`.

    Args:
        target: The object.
        mix: How often each kind is drawn.
        rng: Source of randomness.
    """
    mask = target.mask
    kinds: list[tuple[float, Callable[[], Prompt]]] = [
        (mix.one_click, lambda: _clicks_prompt(target, 1, mix, rng)),
        (mix.several_clicks, lambda: _clicks_prompt(target, int(rng.integers(2, 6)), mix, rng)),
        (mix.box, lambda: Prompt(box=draw_box(mask, mix, rng))),
        (mix.box_and_clicks, lambda: _box_and_clicks(target, mix, rng)),
    ]
    shares = np.array([share for share, _ in kinds])
    return kinds[rng.choice(len(kinds), p=shares / shares.sum())][1]()


def draws_nothing(mix: PromptMix, rng: np.random.Generator) -> bool:
    """Whether this sample goes without a prompt."""
    return bool(rng.random() < mix.nothing)


def _clicks_prompt(
    target: TargetObject, count: int, mix: PromptMix, rng: np.random.Generator
) -> Prompt:
    mask = target.mask
    points, labels = [draw_clicks(mask, count, rng)], [FOREGROUND] * count
    if count >= 2 and rng.random() < mix.outlier:
        outlier = draw_clicks(target.background, 1, rng)
        points.append(outlier)
        labels += [FOREGROUND] * len(outlier)
    # Six clicks are the most a prompt takes.
    if len(labels) <= 4 and rng.random() < mix.background:
        beside = draw_background(mask, int(rng.integers(1, 3)), rng)
        points.append(beside)
        labels += [BACKGROUND] * len(beside)
    return Prompt(np.concatenate(points), np.array(labels, np.int64))


def _box_and_clicks(target: TargetObject, mix: PromptMix, rng: np.random.Generator) -> Prompt:
    clicks = _clicks_prompt(target, int(rng.integers(1, 4)), mix, rng)
    return Prompt(clicks.point_coords, clicks.point_labels, draw_box(target.mask, mix, rng))


def draw_clicks(mask: NDArray[np.uint8], count: int, rng: np.random.Generator) -> Points:
    """Clicks spread uniformly over a mask's pixels, each somewhere inside its pixel.

    Args:
        mask: HxW uint8, 0 or 1.
        count: Number of clicks.
        rng: Source of randomness.

    Returns:
        (x, y), count x 2 float32; 0 x 2 when the mask is empty.
    """
    if not mask.any():
        return np.zeros((0, 2), np.float32)
    return draw_points_within(mask, count, rng)


def draw_background(mask: NDArray[np.uint8], count: int, rng: np.random.Generator) -> Points:
    """Clicks beside an object: outside its mask, within its box grown by 30% on each side."""
    x0, y0, x1, y1 = bounding_box(mask)
    dx, dy = int(0.3 * (x1 - x0)) + 2, int(0.3 * (y1 - y0)) + 2
    beside = np.zeros_like(mask)
    near = np.s_[max(y0 - dy, 0) : y1 + dy, max(x0 - dx, 0) : x1 + dx]
    beside[near] = 1 - mask[near]
    return draw_clicks(beside, count, rng)


def draw_box(mask: NDArray[np.uint8], mix: PromptMix, rng: np.random.Generator) -> Box:
    """An object's box, exact or with each edge moved a little."""
    exact = mask_box(mask)
    if rng.random() < mix.exact_box:
        return exact
    height, width = mask.shape
    moved = jitter_box(exact, box_sides(exact), mix.box_noise, (width, height), rng)
    most = mix.box_noise_pixels
    x0, y0, x1, y1 = (
        min(max(edge, start - most), start + most) for edge, start in zip(moved, exact, strict=True)
    )
    return x0, y0, x1, y1

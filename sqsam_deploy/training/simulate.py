"""Prompts a user could have given for an object, drawn from its mask."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.prompts.encoding import BACKGROUND, FOREGROUND, Prompt
from sqsam_deploy.training.augment import Window, bounding_window
from sqsam_deploy.training.recipe import PromptMix

Points = NDArray[np.float32]


def draw_prompt(mask: NDArray[np.uint8], mix: PromptMix, rng: np.random.Generator) -> Prompt:
    """A prompt for one object. The empty prompt is left to `draws_nothing`.

    Args:
        mask: HxW uint8, 0 or 1, not empty.
        mix: How often each kind is drawn.
        rng: Source of randomness.
    """
    kinds: list[tuple[float, Callable[[], Prompt]]] = [
        (mix.one_click, lambda: _clicks_prompt(mask, 1, mix, rng)),
        (mix.several_clicks, lambda: _clicks_prompt(mask, int(rng.integers(2, 6)), mix, rng)),
        (mix.box, lambda: Prompt(box=draw_box(mask, mix, rng))),
        (mix.box_and_clicks, lambda: _box_and_clicks(mask, mix, rng)),
    ]
    shares = np.array([share for share, _ in kinds])
    return kinds[rng.choice(len(kinds), p=shares / shares.sum())][1]()


def draws_nothing(mix: PromptMix, rng: np.random.Generator) -> bool:
    """Whether this sample goes without a prompt."""
    return bool(rng.random() < mix.nothing)


def _clicks_prompt(
    mask: NDArray[np.uint8], count: int, mix: PromptMix, rng: np.random.Generator
) -> Prompt:
    points, labels = [draw_clicks(mask, count, rng)], [FOREGROUND] * count
    if count >= 2 and rng.random() < mix.outlier:
        outlier = draw_clicks(1 - mask, 1, rng)
        points.append(outlier)
        labels += [FOREGROUND] * len(outlier)
    # Six clicks are the most a prompt takes.
    if len(labels) <= 4 and rng.random() < mix.background:
        beside = draw_background(mask, int(rng.integers(1, 3)), rng)
        points.append(beside)
        labels += [BACKGROUND] * len(beside)
    return Prompt(np.concatenate(points), np.array(labels, np.int64))


def _box_and_clicks(mask: NDArray[np.uint8], mix: PromptMix, rng: np.random.Generator) -> Prompt:
    clicks = _clicks_prompt(mask, int(rng.integers(1, 4)), mix, rng)
    return Prompt(clicks.point_coords, clicks.point_labels, draw_box(mask, mix, rng))


def draw_clicks(mask: NDArray[np.uint8], count: int, rng: np.random.Generator) -> Points:
    """Clicks spread uniformly over a mask's pixels, each somewhere inside its pixel.

    Args:
        mask: HxW uint8, 0 or 1.
        count: Number of clicks.
        rng: Source of randomness.

    Returns:
        (x, y), count x 2 float32; 0 x 2 when the mask is empty.
    """
    return _draw_in(mask, Window(0, 0, mask.shape[1], mask.shape[0]), count, rng)


def draw_background(mask: NDArray[np.uint8], count: int, rng: np.random.Generator) -> Points:
    """Clicks beside an object: outside its mask, within its box grown by 30% on each side."""
    box, (height, width) = bounding_window(mask), mask.shape
    dx, dy = int(0.3 * box.width) + 2, int(0.3 * box.height) + 2
    near = Window(
        max(box.left - dx, 0),
        max(box.top - dy, 0),
        min(box.right + dx, width),
        min(box.bottom + dy, height),
    )
    return _draw_in(1 - mask, near, count, rng)


def _draw_in(
    mask: NDArray[np.uint8], window: Window, count: int, rng: np.random.Generator
) -> Points:
    pixels = np.flatnonzero(window.cut(mask))
    if not len(pixels):
        return np.zeros((0, 2), np.float32)
    rows, columns = np.divmod(pixels[rng.integers(len(pixels), size=count)], window.width)
    corners = np.stack([columns + window.left, rows + window.top], axis=1)
    return (corners + rng.random((count, 2))).astype(np.float32)


def draw_box(
    mask: NDArray[np.uint8], mix: PromptMix, rng: np.random.Generator
) -> tuple[float, float, float, float]:
    """An object's box (x0, y0, x1, y1), exact or with each edge moved a little.

    The noise is cut at two standard deviations, and the box at the photo's edge.
    """
    tight = bounding_window(mask)
    edges = np.array([tight.left, tight.top, tight.right, tight.bottom], np.float64)
    if rng.random() >= mix.exact_box:
        sides = np.array([tight.width, tight.height] * 2)
        edges += np.clip(rng.normal(size=4), -2, 2) * mix.box_noise * sides
    limit = np.array([mask.shape[1], mask.shape[0]] * 2)
    x0, y0, x1, y1 = np.clip(edges, 0, limit).tolist()
    return (x0, y0, x1, y1)

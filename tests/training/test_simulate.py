from pathlib import Path

import numpy as np
import pytest

from sqsam_deploy.training.augment import bounding_window
from sqsam_deploy.training.readers import SkipList, find_items
from sqsam_deploy.training.recipe import PromptMix
from sqsam_deploy.training.simulate import (
    TargetObject,
    draw_background,
    draw_box,
    draw_clicks,
    draw_prompt,
    draws_nothing,
)


@pytest.fixture(scope="module")
def mask(photo_folder: Path) -> np.ndarray:
    """A COCO object that does not touch the edge of its photo, HxW uint8."""
    photos = [item.read(SkipList()) for item in find_items(photo_folder)]
    masks = [mask for photo in photos if photo is not None for mask in photo.masks]
    inside = [mask for mask in masks if not mask[:60].any() and not mask[:, :60].any()]
    return max(inside, key=np.sum).astype(np.uint8)


def test_clicks_lie_in_the_mask_and_spread_evenly(mask: np.ndarray) -> None:
    clicks = draw_clicks(mask, 20_000, np.random.default_rng(0))
    columns, rows = np.rint(clicks).astype(int).T
    assert mask[rows, columns].all()
    # Uniform over the mask: the clicks' center is the mask's center of mass.
    ys, xs = np.nonzero(mask)
    spread = np.hypot(xs.std(), ys.std())
    center = np.array([xs.mean(), ys.mean()])
    assert np.linalg.norm(clicks.mean(axis=0) - center) < 0.03 * spread


def test_background_clicks_lie_beside_the_object(mask: np.ndarray) -> None:
    clicks = draw_background(mask, 500, np.random.default_rng(0))
    columns, rows = np.rint(clicks).astype(int).T
    assert not mask[rows, columns].any()
    box = bounding_window(mask)
    assert columns.min() >= box.left - 0.3 * box.width - 2
    assert rows.max() <= box.bottom + 0.3 * box.height + 2


def test_mask_that_covers_everything_has_no_background_click() -> None:
    full = np.ones((5, 6), np.uint8)
    assert draw_background(full, 2, np.random.default_rng(0)).shape == (0, 2)


def test_boxes_are_exact_or_jittered_by_their_share(mask: np.ndarray) -> None:
    mix = PromptMix(exact_box=0.4, box_noise=0.05)
    tight = bounding_window(mask)
    exact = np.array([tight.left, tight.top, tight.right, tight.bottom])
    rng = np.random.default_rng(0)
    boxes = np.array([draw_box(mask, mix, rng) for _ in range(4000)])
    moved = (boxes - exact) / ([tight.width, tight.height] * 2)
    assert abs((moved == 0).all(axis=1).mean() - 0.4) < 0.03
    assert np.abs(moved).max() <= 0.1 + 1e-9
    # Standard deviation of a normal cut at two deviations (mass piled on the cut): 0.959 of it.
    inner = moved[(moved != 0).any(axis=1), 0]
    assert abs(inner.std() / 0.05 - 0.959) < 0.05


def test_kinds_of_prompt_are_drawn_by_their_shares(mask: np.ndarray) -> None:
    mix = PromptMix(one_click=0.2, several_clicks=0.3, box=0.4, box_and_clicks=0.1, background=0.0)
    rng = np.random.default_rng(0)
    prompts = [draw_prompt(TargetObject(mask, 1 - mask), mix, rng) for _ in range(4000)]
    boxed = [prompt.box is not None for prompt in prompts]
    clicks = [len(prompt.point_labels) for prompt in prompts]
    kinds = list(zip(boxed, clicks, strict=True))
    assert abs(kinds.count((False, 1)) / 4000 - 0.2) < 0.02
    assert abs(kinds.count((True, 0)) / 4000 - 0.4) < 0.025
    assert abs(sum(box and count > 0 for box, count in kinds) / 4000 - 0.1) < 0.02
    assert max(clicks) <= 6


def test_outliers_are_foreground_clicks_on_the_background(mask: np.ndarray) -> None:
    mix = PromptMix(0.0, 1.0, 0.0, 0.0, outlier=0.25, background=0.0)
    rng = np.random.default_rng(0)
    outside = []
    for _ in range(2000):
        prompt = draw_prompt(TargetObject(mask, 1 - mask), mix, rng)
        assert (prompt.point_labels == 1).all()
        columns, rows = np.rint(prompt.point_coords).astype(int).T
        outside.append(int((mask[rows, columns] == 0).sum()))
    assert set(outside) == {0, 1}
    assert abs(np.mean(outside) - 0.25) < 0.03


def test_outliers_belong_to_no_object(photo_folder: Path) -> None:
    mix = PromptMix(0.0, 1.0, 0.0, 0.0, outlier=1.0, background=0.0)
    rng = np.random.default_rng(0)
    several = 0
    for item in find_items(photo_folder):
        photo = item.read(SkipList())
        assert photo is not None
        if len(photo.masks) < 2 or photo.masks.any(axis=0).all():
            continue
        several += 1
        background = 1 - photo.masks.any(axis=0).astype(np.uint8)
        for mask in photo.masks.astype(np.uint8):
            prompt = draw_prompt(TargetObject(mask, background), mix, rng)
            columns, rows = np.rint(prompt.point_coords).astype(int).T
            *on_it, outlier = zip(rows, columns, strict=True)
            assert all(mask[where] for where in on_it)
            assert not photo.masks[:, *outlier].any()
    assert several >= 4


def test_background_clicks_have_label_zero_and_are_really_outside(mask: np.ndarray) -> None:
    mix = PromptMix(1.0, 0.0, 0.0, 0.0, background=1.0)
    prompt = draw_prompt(TargetObject(mask, 1 - mask), mix, np.random.default_rng(0))
    columns, rows = np.rint(prompt.point_coords).astype(int).T
    np.testing.assert_array_equal(mask[rows, columns], prompt.point_labels)
    assert 1 <= (prompt.point_labels == 0).sum() <= 2


def test_empty_prompt_is_drawn_by_its_share() -> None:
    rng = np.random.default_rng(0)
    drawn = [draws_nothing(PromptMix(nothing=0.05), rng) for _ in range(10_000)]
    assert abs(np.mean(drawn) - 0.05) < 0.01

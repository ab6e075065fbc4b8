"""Simulated clicking against RITM's rules, written out plainly on whole images."""

import numpy as np
import pytest

from sqsam_deploy.evaluation.noc import (
    MAX_CLICKS,
    Click,
    next_click,
    number_of_clicks,
    simulate_clicks,
)


def _blob(rng: np.random.Generator) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(rng.random((70, 90)), 6) > 0.5


def _plain_depth(region: np.ndarray, clicked: np.ndarray) -> np.ndarray:
    """Distance of each pixel to the nearest one outside the region or the image, by definition."""
    padded = np.pad(region, 1)
    outside = np.argwhere(~padded)
    depth = np.zeros(region.shape)
    for y, x in np.argwhere(region & ~clicked):
        depth[y, x] = np.sqrt(((outside - (y + 1, x + 1)) ** 2).sum(1).min())
    return depth


def test_the_next_click_is_the_innermost_pixel_of_the_larger_error():
    rng = np.random.default_rng(3)
    for _ in range(4):
        mask, truth = _blob(rng), _blob(rng)
        clicked = rng.random(mask.shape) < 0.1
        click = next_click(mask, truth, clicked)
        missed = _plain_depth(truth & ~mask, clicked)
        false = _plain_depth(mask & ~truth, clicked)
        larger, label = (missed, 1) if missed.max() > false.max() else (false, 0)
        assert click.label == label
        assert larger[click.y, click.x] == pytest.approx(larger.max())


def test_nothing_is_clicked_where_nothing_is_wrong():
    mask = _blob(np.random.default_rng(0))
    assert next_click(mask, mask, np.zeros_like(mask)) is None


def test_the_first_click_of_a_square_is_its_middle():
    truth = np.zeros((50, 50), bool)
    truth[10:31, 20:41] = True
    assert next_click(np.zeros_like(truth), truth, np.zeros_like(truth)) == Click(30, 20, 1)


def test_clicking_stops_at_the_highest_target():
    truth = _blob(np.random.default_rng(1))
    asked = []

    def predict(prompt):
        asked.append(len(prompt.point_labels))
        return truth if len(prompt.point_labels) == 3 else np.zeros_like(truth)

    assert simulate_clicks(predict, truth) == (0.0, 0.0, 1.0)
    assert asked == [1, 2, 3]


def test_a_network_that_never_gets_there_is_asked_twenty_times():
    truth = _blob(np.random.default_rng(1))
    ious = simulate_clicks(lambda prompt: np.zeros_like(truth), truth)
    assert ious == (0.0,) * 20
    assert number_of_clicks(ious, 0.8) == MAX_CLICKS == 20


def test_number_of_clicks_is_the_first_that_reaches_the_target():
    ious = (0.5, 0.81, 0.79, 0.85, 0.9)
    assert [number_of_clicks(ious, t) for t in (0.80, 0.85, 0.90, 0.95)] == [2, 4, 5, 20]

import numpy as np
import pytest

from sqsam_deploy.errors import DataError
from sqsam_deploy.prompts.encoding import encode_prompt
from sqsam_deploy.prompts.sampling import (
    draw_points,
    draw_points_within,
    foreground,
    innermost_point,
    jitter_points,
    mask_box,
    object_generator,
)
from tests.tiny_network import TINY


def _ring() -> np.ndarray:
    y, x = np.ogrid[:60, :80]
    radius = np.hypot(x - 40, y - 30)
    return (radius < 25) & (radius > 12)


def test_points_lie_on_the_object_s_pixels():
    points = draw_points(_ring(), 500, object_generator(0, "a"))
    columns, rows = points.astype(int).T
    assert np.array_equal(points, points.astype(int))
    assert _ring()[rows, columns].all()


def test_points_are_uniform_over_the_pixels():
    mask = np.zeros((20, 20), bool)
    mask[:5, :10] = mask[10:, 10:] = True  # 50 and 100 pixels
    points = draw_points(mask, 30_000, object_generator(0, "a"))
    # 10,000 +- 82 expected; five standard deviations.
    assert (points[:, 1] < 5).sum() == pytest.approx(10_000, abs=410)


def test_points_belong_to_seed_and_object_and_more_extend_fewer():
    draw = lambda seed, name, count: draw_points(_ring(), count, object_generator(seed, name))  # noqa: E731
    assert np.array_equal(draw(1, "a", 1), draw(1, "a", 3)[:1])
    assert not np.array_equal(draw(1, "a", 3), draw(2, "a", 3))
    assert not np.array_equal(draw(1, "a", 3), draw(1, "b", 3))


def test_jitter_has_the_stated_deviation_and_stays_inside():
    points = np.tile(np.array([[400, 300]], np.float32), (20_000, 1))
    moved = jitter_points(points, 5.0, (600, 800), np.random.default_rng(0))
    assert (moved - points).std(axis=0) == pytest.approx([5, 5], rel=0.03)
    corner = jitter_points(np.zeros((100, 2), np.float32), 50.0, (60, 80), np.random.default_rng(0))
    assert corner.min() == 0
    assert corner[:, 0].max() <= 79
    assert corner[:, 1].max() <= 59


def test_an_empty_mask_is_refused():
    with pytest.raises(DataError, match="empty mask"):
        draw_points(np.zeros((4, 4), bool), 1, object_generator(0, "a"))


def test_points_within_pixels_round_to_them_and_fill_them():
    points = draw_points_within(_ring(), 20_000, np.random.default_rng(0))
    columns, rows = np.rint(points).astype(int).T
    assert _ring()[rows, columns].all()
    offsets = points - np.rint(points)
    # Uniform over a unit square about the center: deviation 1/sqrt(12).
    assert offsets.mean(axis=0) == pytest.approx([0, 0], abs=0.01)
    assert offsets.std(axis=0) == pytest.approx([12**-0.5] * 2, rel=0.03)


def test_a_point_on_a_pixel_is_drawn_around_that_pixel_of_the_network():
    # The stated convention is that of the prompt maps: at scale 1 the disc is centered on pixel i.
    mask = np.zeros((32, 32), bool)
    mask[20, 9] = True
    point = draw_points(mask, 1, np.random.default_rng(0))
    clicks, _ = encode_prompt(foreground(point), (32, 32), TINY).prompt_maps
    rows, columns = np.nonzero(clicks)
    assert (rows.mean(), columns.mean()) == (20, 9)


def test_the_box_has_coco_s_numbers_and_the_innermost_point_is_far_from_every_border():
    from pycocotools import mask as coco_mask

    mask = np.zeros((50, 70), np.uint8)
    mask[10:31, 20:53] = 1
    x, y, width, height = coco_mask.toBbox(coco_mask.encode(np.asfortranarray(mask)))
    assert mask_box(mask) == (x, y, x + width, y + height)
    assert innermost_point(mask)[0, 1] == 20  # 11 pixels from the top and from the bottom edge
    edge = np.ones((9, 40), bool)
    assert innermost_point(edge)[0, 1] == 4  # the photo's edge is a border too

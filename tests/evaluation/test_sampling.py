import numpy as np
import pytest

from sqsam_deploy.errors import DataError
from sqsam_deploy.evaluation.sampling import draw_points, jitter_points, object_generator


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

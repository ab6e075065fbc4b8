"""Any series of reshapes and transpositions, against numpy doing them one by one."""

import math
import random

import numpy as np
import pytest

from sqsam_deploy.runtimes.executorch.xnnpack.arrangement import Arrangement


def _factors(size: int) -> list[int]:
    return [factor for factor in range(1, size + 1) if size % factor == 0]


def _random_shape(size: int, rng: random.Random) -> list[int]:
    shape = []
    while size > 1 and len(shape) < 4:
        shape.append(rng.choice(_factors(size)))
        size //= shape[-1]
    return [*shape, size]


def _as_done(array: np.ndarray, shape: list[int], order: list[int]) -> np.ndarray:
    return array.reshape(shape).transpose(order) if order else array


@pytest.mark.parametrize("seed", range(60))
def test_a_series_is_one_reshape_and_one_transposition(seed: int) -> None:
    rng = random.Random(seed)
    series = None
    while series is None:  # a reshape that cannot be joined ends a series: another one is drawn
        series = _series(rng)
    array, expected, (shape, order) = series
    np.testing.assert_array_equal(_as_done(array, shape, order).ravel(), expected.ravel())


Joined = tuple[list[int], list[int]]


def _series(rng: random.Random) -> tuple[np.ndarray, np.ndarray, Joined] | None:
    """An array, the same after five random moves, and what those moves were joined to."""
    array = np.arange(math.prod([2, 3, 4, 6])).reshape(_random_shape(144, rng))
    arrangement, expected = Arrangement(array.shape), array
    for _ in range(5):
        if rng.random() < 0.5:
            order = rng.sample(range(expected.ndim), expected.ndim)
            expected = expected.transpose(order)
            arrangement.permute(order)
        else:
            shape = _random_shape(144, rng)
            if not arrangement.reshape(shape):
                return None
            expected = expected.reshape(shape)
    return array, expected, arrangement.as_one()


def test_there_and_back_is_nothing() -> None:
    arrangement = Arrangement([1, 64, 8, 8])
    arrangement.permute([0, 2, 3, 1])
    arrangement.permute([0, 3, 1, 2])
    assert arrangement.as_one() == ([4096], [0])


def test_pixel_shuffle_of_ordered_channels_moves_rows_of_two_pixels() -> None:
    # Channels last, (row, column, channel) of a 2x2 shuffle: the blocks are 2 x 16 values.
    arrangement = Arrangement([1, 8, 8, 64])
    arrangement.permute([0, 3, 1, 2])
    assert arrangement.reshape([1, 2, 2, 16, 8, 8])
    arrangement.permute([0, 3, 4, 1, 5, 2])
    assert arrangement.reshape([1, 16, 16, 16])
    arrangement.permute([0, 2, 3, 1])
    assert arrangement.as_one() == ([8, 8, 2, 32], [0, 2, 1, 3])


def test_a_split_across_moved_elements_is_refused() -> None:
    arrangement = Arrangement([2, 3])
    arrangement.permute([1, 0])
    assert arrangement.reshape([6])
    assert not arrangement.reshape([2, 3])

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqsam_deploy.errors import UsageError
from sqsam_deploy.model.config import NANO, PAPER, RELEASE_2023_12, ModelConfig
from sqsam_deploy.prompts import Prompt, encode_prompt, limit_clicks

CLICKS, BOX = 0, 1  # of NANO; RELEASE_2023_12 has them the other way round.


def clicks(*points: tuple[float, float, int]) -> Prompt:
    table = np.array(points, np.float32).reshape(-1, 3)
    return Prompt(table[:, :2].copy(), table[:, 2].astype(np.int64))


def square_prompt(prompt: Prompt, config: ModelConfig = NANO) -> np.ndarray:
    """Prompt maps of an image that has the network's own size, so that nothing is scaled."""
    return encode_prompt(prompt, (config.image_size, config.image_size), config).prompt_maps


@pytest.mark.parametrize(("config", "radius"), [(PAPER, 10), (RELEASE_2023_12, 5), (NANO, 3)])
def test_a_disc_has_the_pixels_that_gauss_counted(config, radius):
    # Lattice points within a circle around a lattice point (Gauss's circle problem, A000328).
    lattice_points = {3: 29, 5: 81, 10: 317}[radius]
    channel = 0 if config.map_order == "clicks-box" else 1
    drawn = square_prompt(clicks((100, 80, 1)), config)[channel]
    assert (drawn == 255).sum() == lattice_points
    assert (drawn == 0).sum() == drawn.size - lattice_points


@settings(max_examples=50, deadline=None)
@given(st.floats(0, 255, width=32), st.floats(0, 255, width=32))
def test_a_disc_holds_what_lies_within_the_radius_and_is_cut_at_the_border(x, y):
    drawn = square_prompt(clicks((x, y, 1)))[CLICKS]
    columns, rows = np.meshgrid(np.arange(256.0), np.arange(256.0))
    distance = np.hypot(columns - np.float32(x), rows - np.float32(y))
    clear = np.abs(distance - 3) > 1e-4
    np.testing.assert_array_equal(drawn[clear] == 255, (distance <= 3)[clear])


def test_clicks_are_scaled_with_the_image():
    encoded = encode_prompt(clicks((300, 50, 1)), (100, 600), NANO)
    np.testing.assert_allclose(encoded.point_coords[0], (300 * 256 / 600, 50 * 256 / 100))
    rows, columns = np.nonzero(encoded.prompt_maps[CLICKS])
    np.testing.assert_allclose((columns.mean(), rows.mean()), (128, 128))


def test_a_box_holds_its_edges():
    maps = square_prompt(Prompt(box=(10, 20, 30, 25)))
    expected = np.zeros((256, 256), np.uint8)
    expected[20:26, 10:31] = 255
    np.testing.assert_array_equal(maps[BOX], expected)
    assert not maps[CLICKS].any()


def test_a_box_between_pixels_takes_the_pixels_inside():
    maps = square_prompt(Prompt(box=(10.4, 20.5, 12.6, 21.5)))
    assert {(int(y), int(x)) for y, x in np.argwhere(maps[BOX])} == {(21, 11), (21, 12)}


def test_a_box_is_cut_at_the_border():
    maps = square_prompt(Prompt(box=(-20, 250, 3, 400)))
    assert maps[BOX][250:, :4].all()
    assert (maps[BOX] == 255).sum() == 6 * 4


def test_a_box_of_the_whole_image_marks_everything():
    assert (square_prompt(Prompt(box=(0, 0, 255, 255)))[BOX] == 255).all()


def test_without_a_box_everything_is_marked_and_no_corner_is_listed():
    encoded = encode_prompt(clicks((5, 5, 1)), (256, 256), NANO)
    assert (encoded.prompt_maps[BOX] == 255).all()
    assert encoded.point_labels.tolist() == [1, -1, -1, -1, -1, -1, -1, -1]


def test_a_background_click_carves_its_disc_out_of_the_box_channel():
    maps = square_prompt(clicks((60, 70, 0)))
    assert not maps[CLICKS].any()
    columns, rows = np.meshgrid(np.arange(256), np.arange(256))
    disc = (columns - 60) ** 2 + (rows - 70) ** 2 <= 9
    np.testing.assert_array_equal(maps[BOX] == 0, disc)


def test_the_release_does_not_draw_background_clicks():
    maps = square_prompt(clicks((60, 70, 0)), RELEASE_2023_12)
    assert (maps[0] == 255).all()
    assert not maps[1].any()


def test_the_release_has_the_box_first():
    maps = square_prompt(
        Prompt(np.array([[100, 80]], np.float32), np.ones(1, np.int64), (1, 2, 3, 4)),
        RELEASE_2023_12,
    )
    assert (maps[0] == 255).sum() == 9
    assert (maps[1] == 255).sum() == 81


def test_points_are_the_clicks_then_the_corners_then_padding():
    prompt = clicks((10, 20, 1), (30, 40, 0))
    encoded = encode_prompt(
        Prompt(prompt.point_coords, prompt.point_labels, (5, 6, 70, 80)), (256, 256), NANO
    )
    assert encoded.point_labels.tolist() == [1, 0, 2, 3, -1, -1, -1, -1]
    expected = [(10, 20), (30, 40), (5, 6), (70, 80), *[(0, 0)] * 4]
    np.testing.assert_array_equal(encoded.point_coords, expected)


def test_as_many_clicks_as_allowed_and_a_box_fill_the_list():
    prompt = clicks(*[(i, i, 1) for i in range(NANO.max_clicks)])
    encoded = encode_prompt(
        Prompt(prompt.point_coords, prompt.point_labels, (0, 0, 9, 9)), (256, 256), NANO
    )
    assert -1 not in encoded.point_labels


def test_too_many_clicks_are_refused():
    prompt = clicks(*[(i, i, 1) for i in range(NANO.max_clicks + 1)])
    with pytest.raises(UsageError, match="7 clicks given, but 'nano' takes at most 6"):
        encode_prompt(prompt, (256, 256), NANO)


def test_limiting_keeps_the_first_click_and_the_latest():
    limited = limit_clicks(clicks(*[(i, 0, 1) for i in range(9)]), NANO.max_clicks)
    assert limited.point_coords[:, 0].tolist() == [0, 4, 5, 6, 7, 8]


def test_limiting_leaves_a_prompt_that_fits_and_keeps_the_box():
    prompt = clicks((1, 2, 1))
    assert limit_clicks(prompt, NANO.max_clicks) is prompt
    many = clicks(*[(i, 0, 0) for i in range(9)])
    boxed = Prompt(many.point_coords, many.point_labels, (1, 2, 3, 4))
    assert limit_clicks(boxed, NANO.max_clicks).box == (1, 2, 3, 4)


def test_labels_and_coordinates_must_match():
    with pytest.raises(UsageError, match="point_coords must be Nx2"):
        Prompt(np.zeros((2, 2), np.float32), np.ones(3, np.int64))

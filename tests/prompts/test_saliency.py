import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage
from skimage.filters import threshold_otsu
from skimage.measure import label, regionprops

from sqsam_deploy.errors import DataError
from sqsam_deploy.prompts.saliency import LEVELS, most_like_blob, otsu_level, saliency_clicks

continuous = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=12),
    elements=st.floats(-100, 100, width=32),
)
#: No deadline: the test machine may be busy.
quick = settings(max_examples=50, deadline=None)

#: Few different values: ties, several blobs with the same maximum, flat maps.
coarse = hnp.arrays(
    np.float32,
    hnp.array_shapes(min_dims=2, max_dims=2, max_side=10),
    elements=st.sampled_from([0.0, 1.0, 2.0, 5.0]),
)
maps = st.one_of(continuous, coarse)


def pixel_of(points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    columns, rows = np.floor(points.astype(np.float64) + 0.5).astype(int).T
    return rows, columns


def rectangle(height: int, width: int, top: int, left: int, bottom: int, right: int) -> np.ndarray:
    saliency = np.zeros((height, width), np.float32)
    saliency[top:bottom, left:right] = 1
    return saliency


@quick
@given(maps)
def test_five_clicks_lie_on_the_blob(saliency):
    found = saliency_clicks(saliency)
    assert found.point_coords.shape == (5, 2)
    assert found.point_coords.dtype == np.float32
    assert found.blob[pixel_of(found.point_coords)].all()
    assert found.point_labels.tolist() == [1] * 5


@quick
@given(maps)
def test_the_blob_is_connected_and_holds_the_highest_saliency(saliency):
    found = saliency_clicks(saliency)
    assert label(found.blob, connectivity=2).max() == 1
    assert saliency[found.blob].max() == saliency.max() == np.float32(found.maximum)
    assert found.maximum_count == (saliency[found.blob] == saliency.max()).sum()


@quick
@given(maps)
def test_the_same_map_gives_the_same_clicks(saliency):
    first, second = saliency_clicks(saliency), saliency_clicks(saliency.copy(order="F"))
    assert first.point_coords.tobytes() == second.point_coords.tobytes()
    assert (first.blob == second.blob).all()


@quick
@given(maps, st.integers(2, 4))
def test_an_enlarged_map_gives_the_enlarged_clicks(saliency, factor):
    small = saliency_clicks(saliency)
    large = saliency_clicks(np.kron(saliency, np.ones((factor, factor), np.float32)))
    assert (large.blob == np.kron(small.blob, np.ones((factor, factor), bool))).all()
    expected = (small.point_coords.astype(np.float64) + 0.5) * factor - 0.5
    assert np.abs(large.point_coords - expected).max() <= factor / 2 + 1e-4
    # The center of mass itself does not move at all, unless it had to go to another pixel.
    if small.blob[pixel_of(ndimage_center(small.blob)[None])].all():
        np.testing.assert_allclose(large.point_coords[0], expected[0], atol=1e-4)


def ndimage_center(blob: np.ndarray) -> np.ndarray:
    return np.array(ndimage.center_of_mass(blob)[::-1])


@quick
@given(coarse, st.sampled_from([0.25, 3.0, 40.0]), st.integers(-30, 30))
def test_scaling_and_shifting_the_map_changes_nothing(saliency, scale, shift):
    plain, changed = saliency_clicks(saliency), saliency_clicks(saliency * scale + shift)
    np.testing.assert_array_equal(plain.point_coords, changed.point_coords)


@quick
@given(maps)
def test_first_click_is_scipys_center_of_mass_where_that_is_on_the_blob(saliency):
    found = saliency_clicks(saliency)
    center = ndimage_center(found.blob)
    assume(found.blob[pixel_of(center[None])].all())
    np.testing.assert_allclose(found.point_coords[0], center, atol=1e-4)


@quick
@given(hnp.arrays(np.float32, (6, 7), elements=st.sampled_from([0.0, 1.0])))
def test_sections_are_those_of_a_finely_sampled_blob(saliency):
    found = saliency_clicks(saliency)
    factor = 48
    fine = np.kron(found.blob, np.ones((factor, factor), bool))
    rows, columns = np.nonzero(fine)
    x, y = (columns + 0.5) / factor - 0.5, (rows + 0.5) / factor - 0.5
    center = x.mean(), y.mean()
    sections = [
        (a, b) for b in (y < center[1], y >= center[1]) for a in (x < center[0], x >= center[0])
    ]
    compared = 0
    for click, (across, down) in zip(found.point_coords[1:], sections, strict=True):
        inside = across & down
        if not inside.any():
            continue
        expected = np.array([x[inside].mean(), y[inside].mean()])
        # Sampling moves the lines by up to a sample; thin sections feel that most.
        if inside.sum() > factor**2 and found.blob[pixel_of(expected[None])].all():
            np.testing.assert_allclose(click, expected, atol=2 / factor)
            compared += 1
    assume(compared)


def test_a_rectangle_is_clicked_at_its_center_and_the_centers_of_its_quarters():
    found = saliency_clicks(rectangle(20, 30, top=4, left=6, bottom=12, right=22))
    expected = [(13.5, 7.5), (9.5, 5.5), (17.5, 5.5), (9.5, 9.5), (17.5, 9.5)]
    np.testing.assert_allclose(found.point_coords, expected)


def test_clicks_of_an_l_shape_worked_out_by_hand():
    # Unit squares at (0,0), (0,1), (0,2), (1,2), (2,2): center of mass (0.6, 1.4), which lies in
    # pixel (1, 1), outside; the nearest squares are (0,1) and (1,2), at 0.1 each.
    saliency = np.array([[1, 0, 0], [1, 0, 0], [1, 1, 1]], np.float32)
    found = saliency_clicks(saliency)
    np.testing.assert_allclose(found.point_coords[0], (0, 1))
    # Left of x = 0.6 and above y = 1.4: the column of the L from y = -0.5 to 1.4.
    np.testing.assert_allclose(found.point_coords[1], (0, 0.45), atol=1e-6)
    # Right and above: (1,2) and (2,2) start at y = 1.5, so there is nothing; the blob's own.
    np.testing.assert_allclose(found.point_coords[2], (0, 1))
    # Left and below: a strip of (0,1), 1 x 0.1; all of (0,2); (1,2) from x = 0.5 to 0.6.
    area = 0.1 + 1 + 0.1
    x, y = (0.1 * 0.55) / area, (0.1 * 1.45 + 1 * 2 + 0.1 * 2) / area
    np.testing.assert_allclose(found.point_coords[3], (x, y), atol=1e-6)
    # Right and below: (1,2) from x = 0.6, and (2,2).
    np.testing.assert_allclose(found.point_coords[4], ((0.9 * 1.05 + 2) / 1.9, 2), atol=1e-6)


def test_a_flat_map_is_one_blob_clicked_at_the_center_and_the_quarters():
    for value in (0.0, 1.0, -3.5):
        found = saliency_clicks(np.full((4, 8), value, np.float32))
        assert found.blob.all()
        expected = [(3.5, 1.5), (1.5, 0.5), (5.5, 0.5), (1.5, 2.5), (5.5, 2.5)]
        np.testing.assert_allclose(found.point_coords, expected)
        assert found.threshold == found.maximum == value


def test_a_blob_of_one_pixel_is_clicked_five_times():
    found = saliency_clicks(rectangle(9, 9, top=3, left=5, bottom=4, right=6))
    quarters = [(5, 3), (4.75, 2.75), (5.25, 2.75), (4.75, 3.25), (5.25, 3.25)]
    np.testing.assert_allclose(found.point_coords, quarters)


def test_a_map_of_one_pixel():
    assert saliency_clicks(np.ones((1, 1))).blob.all()


@pytest.mark.parametrize("corner", [(0, 0), (0, 24), (14, 0), (14, 24)])
def test_a_blob_in_the_corner_of_the_map(corner):
    top, left = corner
    found = saliency_clicks(rectangle(18, 30, top, left, top + 4, left + 6))
    np.testing.assert_allclose(found.point_coords[0], (left + 2.5, top + 1.5))
    assert found.blob[pixel_of(found.point_coords)].all()


def test_a_ring_is_not_clicked_in_its_hole():
    saliency = rectangle(20, 20, top=3, left=4, bottom=12, right=13)
    saliency[5:10, 6:11] = 0
    found = saliency_clicks(saliency)
    assert found.blob[pixel_of(found.point_coords)].all()
    # All four sides are equally near to the center (8, 7): the uppermost pixel is taken.
    np.testing.assert_array_equal(found.point_coords[0], (8, 4))


def test_the_peaks_blob_wins_over_a_larger_one():
    saliency = rectangle(20, 20, 0, 0, 9, 9) * 0.9
    saliency[15:17, 15:17] = 1.0
    assert pixel_set(saliency_clicks(saliency).blob) == {(15, 15), (15, 16), (16, 15), (16, 16)}


def test_of_equally_hot_blobs_the_one_with_more_pixels_at_the_maximum_wins():
    saliency = np.zeros((10, 20), np.float32)
    saliency[1:9, 1:9] = 0.9
    saliency[4, 4] = 1.0
    saliency[2, 15] = saliency[2, 16] = 1.0
    found = saliency_clicks(saliency)
    assert pixel_set(found.blob) == {(2, 15), (2, 16)}
    assert found.maximum_count == 2


def test_then_the_larger_one_wins():
    saliency = np.zeros((10, 20), np.float32)
    saliency[2, 2] = saliency[7, 12] = 1.0
    saliency[7, 13] = 0.9
    assert pixel_set(saliency_clicks(saliency).blob) == {(7, 12), (7, 13)}


def test_of_blobs_equal_in_everything_the_first_in_reading_order_wins():
    saliency = np.zeros((10, 20), np.float32)
    saliency[6, 2] = saliency[3, 15] = saliency[3, 9] = 1.0
    assert pixel_set(saliency_clicks(saliency).blob) == {(3, 9)}


def test_pixels_that_touch_at_a_corner_are_one_blob():
    assert saliency_clicks(np.eye(5, dtype=np.float32)).blob.sum() == 5


def pixel_set(blob: np.ndarray) -> set[tuple[int, int]]:
    return {(int(row), int(column)) for row, column in np.argwhere(blob)}


def test_the_threshold_is_scikit_images_otsu_on_photographic_saliency():
    rng = np.random.default_rng(3)
    for _ in range(20):
        saliency = ndimage.gaussian_filter(rng.random((64, 48)), 4)
        levels = np.round((saliency - saliency.min()) / np.ptp(saliency) * 255).astype(np.uint8)
        assert otsu_level(np.bincount(levels.ravel(), minlength=LEVELS)) == threshold_otsu(levels)


def test_otsu_takes_the_lower_of_two_equally_good_splits():
    # Three levels, equally frequent and equally far apart: both splits separate equally well.
    assert otsu_level(np.array([5, 0, 5, 0, 5])) == 0
    assert otsu_level(np.array([0, 0, 7])) == -1


def test_every_pixel_of_the_blob_reaches_the_threshold():
    rng = np.random.default_rng(4)
    saliency = ndimage.gaussian_filter(rng.random((40, 40)), 3).astype(np.float32)
    found = saliency_clicks(saliency)
    regions = regionprops(
        label(saliency >= found.threshold, connectivity=2), intensity_image=saliency
    )
    peaks = max(regions, key=lambda region: region.intensity_max)
    assert pixel_set(found.blob) == {(int(r), int(c)) for r, c in peaks.coords}


def test_clicks_are_scaled_to_the_image_by_pixel_centers():
    found = saliency_clicks(rectangle(4, 4, 0, 0, 2, 2))
    # The blob covers the upper left quarter of any image.
    np.testing.assert_allclose(found.scaled_to((100, 200))[0], (49.5, 24.5))
    np.testing.assert_allclose(found.scaled_to((4, 4)), found.point_coords)


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((0, 4)),
        np.zeros(5),
        np.zeros((2, 2, 1)),
        np.array([[0.0, np.nan]]),
        np.array([[0.0, np.inf]]),
        np.array([[0.0, 1e300]]),
    ],
)
def test_what_is_no_saliency_map_is_refused(wrong):
    with pytest.raises(DataError, match="saliency map"):
        saliency_clicks(wrong)


def test_a_blob_twice_as_coarse_as_the_masks_is_enlarged_pixel_by_pixel():
    saliency = np.random.default_rng(0).random((6, 6)).astype(np.float32)
    found = saliency_clicks(saliency)
    np.testing.assert_array_equal(found.blob_on_grid(12), np.kron(found.blob, np.ones((2, 2))))
    np.testing.assert_array_equal(found.blob_on_grid(6), found.blob)


@pytest.mark.parametrize("hw", [(68, 68), (5, 9), (320, 300)])
def test_a_grid_of_any_size_looks_under_its_pixels_centers(hw):
    found = saliency_clicks(np.random.default_rng(1).random(hw).astype(np.float32))
    size = 16
    for row in range(size):
        for column in range(size):
            y, x = (
                (2 * i + 1) * side / (2 * size) for i, side in zip((row, column), hw, strict=True)
            )
            assert found.blob_on_grid(size)[row, column] == found.blob[int(y), int(x)]


def test_the_mask_most_like_the_blob_is_chosen_and_the_first_of_equals():
    found = saliency_clicks(rectangle(8, 8, 2, 2, 6, 6))
    half, whole, more = (rectangle(8, 8, 2, 2, *corner) > 0 for corner in ((4, 6), (6, 6), (6, 8)))
    empty = np.zeros((8, 8), bool)
    assert most_like_blob(np.stack([half, more, whole, empty]), found) == 2
    assert most_like_blob(np.stack([empty, half, more]), found) == 2
    assert most_like_blob(np.stack([empty, half[::-1] & whole, half]), found) == 1
    assert most_like_blob(np.stack([empty, empty]), found) == 0


def test_where_the_blob_falls_between_the_grid_s_pixels_the_first_mask_stays():
    found = saliency_clicks(rectangle(64, 64, 1, 1, 2, 2))
    assert not found.blob_on_grid(16).any()
    masks = np.stack([np.eye(16) > 0, np.zeros((16, 16), bool)])
    assert most_like_blob(masks, found) == 0

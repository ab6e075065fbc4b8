from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sqsam_deploy.training.augment import (
    Window,
    bounding_window,
    can_be_pasted,
    center_crop,
    jitter_color,
    mirror,
    nested_masks,
    paste,
    resize_image,
    resize_target,
)
from sqsam_deploy.training.readers import MaskedImage, SkipList, find_items


@pytest.fixture(scope="module")
def photo(photo_folder: Path) -> MaskedImage:
    """The COCO photo with the most objects."""
    read = [item.read(SkipList()) for item in find_items(photo_folder)]
    photos = [photo for photo in read if photo is not None]
    return max(photos, key=lambda photo: len(photo.masks))


def test_merging_finds_the_mask_inside_a_larger_one(photo: MaskedImage) -> None:
    whole = photo.masks[0]
    rows = np.arange(whole.shape[0])[:, None]
    upper_half = whole & (rows < np.median(np.nonzero(whole)[0]))
    assert nested_masks(np.stack([upper_half, whole])).tolist() == [True, False]
    assert nested_masks(np.stack([whole, ~whole])).tolist() == [False, False]


def test_merging_counts_ninety_percent_as_inside() -> None:
    large = np.zeros((20, 20), bool)
    large[:10] = True
    inside, outside = np.zeros_like(large), np.zeros_like(large)
    inside[1:11, 0] = True  # nine of ten pixels
    outside[2:12, 0] = True  # eight of ten
    assert nested_masks(np.stack([large, inside, outside])).tolist() == [False, True, False]


def test_equal_masks_are_not_nested_in_each_other(photo: MaskedImage) -> None:
    assert not nested_masks(np.stack([photo.masks[0]] * 2)).any()


def test_bounding_window_agrees_with_the_index(shared: Path, train_index: list) -> None:
    for entry in train_index[:5]:
        for name, known in zip(entry["masks"], entry["objects"], strict=True):
            mask = np.asarray(Image.open(shared / "data/train" / name)) >= 128
            window = bounding_window(mask.astype(np.uint8))
            box = [window.left, window.top, window.right, window.bottom]
            assert box == known["bbox_xyxy"]


def test_center_crop_keeps_a_pixel_of_the_objects_box_and_stays_inside(photo: MaskedImage) -> None:
    hw = photo.masks[0].shape
    around = bounding_window(photo.masks[0].astype(np.uint8))
    for seed in range(200):
        crop = center_crop(hw, around, 0.25, np.random.default_rng(seed))
        assert 0 <= crop.left < crop.right <= hw[1]
        assert 0 <= crop.top < crop.bottom <= hw[0]
        assert crop.left < around.right and crop.right > around.left
        assert crop.top < around.bottom and crop.bottom > around.top
        assert crop.width >= round(0.25 * hw[1]) - 1


def test_center_crop_makes_small_objects_larger(photo: MaskedImage) -> None:
    small = min(photo.masks, key=np.count_nonzero)
    around = bounding_window(small.astype(np.uint8))
    rng = np.random.default_rng(0)
    crops = [center_crop(small.shape, around, 0.25, rng) for _ in range(300)]
    shares = [
        crop.cut(small.astype(np.uint8)).mean() / small.mean()
        for crop in crops
        if crop.cut(small.astype(np.uint8)).any()
    ]
    assert np.median(shares) > 1.5
    assert max(shares) > 6


def test_mirror_moves_left_to_right_and_back(photo: MaskedImage) -> None:
    flipped = mirror(photo.image)
    np.testing.assert_array_equal(flipped[:, 0], photo.image[:, -1])
    np.testing.assert_array_equal(mirror(flipped), photo.image)


def test_color_jitter_of_strength_zero_changes_nothing(photo: MaskedImage) -> None:
    image = Image.fromarray(photo.image)
    same = jitter_color(image, 0.0, 0.0, np.random.default_rng(0))
    np.testing.assert_array_equal(np.asarray(same), photo.image)


def test_color_jitter_changes_brightness_within_its_strength(photo: MaskedImage) -> None:
    image = Image.fromarray(np.full((8, 8, 3), 128, np.uint8))
    rng = np.random.default_rng(0)
    means = [np.asarray(jitter_color(image, 0.3, 0.0, rng)).mean() for _ in range(100)]
    # Brightness by 30% and tint by 10%: 128 * 0.7 * 0.9 to 128 * 1.3 * 1.1.
    assert 80 <= min(means) < 110 and 150 < max(means) <= 184


def test_gray_removes_all_color(photo: MaskedImage) -> None:
    gray = np.asarray(jitter_color(Image.fromarray(photo.image), 0.3, 1.0, _rng()))
    np.testing.assert_array_equal(gray[..., 0], gray[..., 1])
    np.testing.assert_array_equal(gray[..., 0], gray[..., 2])


def test_image_is_resized_as_in_deployment(photo: MaskedImage) -> None:
    from sqsam_deploy.model.config import NANO
    from sqsam_deploy.prompts.image import prepare_image

    trained = np.asarray(resize_image(photo.image, NANO.image_size))
    np.testing.assert_array_equal(trained, prepare_image(photo.image, NANO))


def test_target_is_where_half_of_the_area_is_covered() -> None:
    mask = (np.random.default_rng(0).random((64, 32)) < 0.5).astype(np.uint8)
    blocks = mask.reshape(8, 8, 8, 4).mean(axis=(1, 3))
    clear = abs(blocks - 0.5) > 0.01
    np.testing.assert_array_equal(resize_target(mask, 8)[clear], (blocks > 0.5)[clear])


def test_window_cuts_rows_and_columns() -> None:
    array = np.arange(20, dtype=np.uint8).reshape(4, 5)
    np.testing.assert_array_equal(Window(1, 2, 3, 4).cut(array), [[11, 12], [16, 17]])


def _rng() -> np.random.Generator:
    return np.random.default_rng(1)


def test_a_pasted_object_hides_what_is_behind_it() -> None:
    rng = np.random.default_rng(3)
    image = np.full((60, 80, 3), 10, np.uint8)
    left = np.zeros((60, 80), np.uint8)
    left[:, :40] = 1
    other = np.full((100, 100, 3), 200, np.uint8)
    mask = np.zeros((100, 100), np.uint8)
    mask[20:70, 30:80] = 1
    for _ in range(20):
        found, masks = paste(image, [left], other, mask, rng)
        assert image.max() == 10, "the photo is a view into a file"
        pasted = found[..., 0] > 105
        number = next(i for i, m in enumerate(masks) if np.array_equal(m > 0, pasted))
        rows, columns = np.flatnonzero(pasted.any(1)), np.flatnonzero(pasted.any(0))
        # A square stays one, and its side is 0.2 to 0.75 of the shorter side of 60.
        assert len(rows) == len(columns) and 11 <= len(rows) <= 46
        if len(masks) == 2:
            np.testing.assert_array_equal(masks[1 - number], left & ~pasted)


def test_specks_and_cut_off_objects_are_not_pasted() -> None:
    mask = np.zeros((100, 100), np.uint8)
    mask[:40, 20:60] = 1
    assert can_be_pasted(mask), "standing on one border"
    mask[:40, :60] = 1
    assert not can_be_pasted(mask), "in a corner"
    assert not can_be_pasted(np.zeros((10, 10), np.uint8))
    speck = np.zeros((100, 100), np.uint8)
    speck[50:55, 50:55] = 1
    assert not can_be_pasted(speck)

import numpy as np
import pytest
from PIL import Image

from sqsam_deploy.errors import DataError
from sqsam_deploy.evaluation.saliency import read_saliency_map, salient_object

POINTS = np.array([[10, 10], [8, 8], [12, 8], [8, 12], [30, 30]], np.float32)


def _square(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros((40, 40), bool)
    mask[y0:y1, x0:x1] = True
    return mask


def test_four_of_five_points_are_enough_and_three_are_not():
    saliency = _square(5, 5, 15, 15)
    holds_four, holds_three = _square(5, 5, 15, 15), _square(5, 5, 15, 11)
    assert holds_three[10, 10] and holds_three[8, 8] and not holds_three[12, 8]
    assert salient_object([holds_four], saliency, POINTS) == 0
    assert salient_object([holds_three], saliency, POINTS) is None


def test_of_several_the_largest_overlap_is_meant():
    saliency = _square(5, 5, 15, 15)
    masks = [_square(0, 0, 40, 40), _square(5, 5, 16, 15), _square(20, 20, 40, 40)]
    assert salient_object(masks, saliency, POINTS) == 1


def test_maps_are_found_by_stem_and_stretched_to_the_image(tmp_path):
    half = np.zeros((10, 20), np.uint8)
    half[:, 10:] = 255
    Image.fromarray(half).save(tmp_path / "photo.png")
    saliency = read_saliency_map(tmp_path, tmp_path / "x" / "photo.jpg", (30, 60))
    assert saliency.shape == (30, 60)
    assert saliency[:, :25].max() == 0
    assert saliency[:, 35:].min() == 1


def test_a_missing_map_is_named(tmp_path):
    with pytest.raises(DataError, match=r"photo\.png"):
        read_saliency_map(tmp_path, tmp_path / "photo.jpg", (30, 60))

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sqsam_deploy.datasets import load_image
from sqsam_deploy.errors import DataError
from sqsam_deploy.evaluation.saliency import saliency_area, saliency_map, salient_object
from sqsam_deploy.model.config import NANO
from sqsam_deploy.model.description import describe
from sqsam_deploy.predictor import Predictor
from sqsam_deploy.prompts.saliency import saliency_clicks

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
    assert salient_object([], saliency, POINTS) is None


def test_the_largest_overlap_is_picked_before_points_are_counted():
    saliency = _square(5, 5, 15, 11)
    picked, other = _square(5, 5, 15, 11), _square(0, 0, 40, 40)
    # `other` holds all five points, but it is not what the saliency overlaps most.
    assert salient_object([other], saliency, POINTS) == 0
    assert salient_object([picked, other], saliency, POINTS) is None


def test_maps_are_found_by_stem_and_read_in_their_own_size(tmp_path):
    half = np.zeros((10, 20), np.uint8)
    half[:, 10:] = 255
    Image.fromarray(half).save(tmp_path / "photo.png")
    image = np.zeros((30, 60, 3), np.uint8)
    saliency = saliency_map(tmp_path, tmp_path / "x" / "photo.jpg", image)
    assert np.array_equal(saliency, half / np.float32(255))
    area = saliency_area(saliency, 0.5, (30, 60))
    assert not area[:, :28].any()
    assert area[:, 32:].all()


def test_a_missing_map_is_named(tmp_path):
    with pytest.raises(DataError, match=r"photo\.png"):
        saliency_map(tmp_path, tmp_path / "photo.jpg", np.zeros((3, 3, 3), np.uint8))


class _NoSession:
    metadata = describe(NANO, runtime="torch", precision="fp32", weights_sha256="0" * 64)


def test_evaluation_starts_from_the_predictors_own_clicks(small_dataset, tmp_path):
    record = small_dataset.images[0]
    image = load_image(record)
    predictor = Predictor(_NoSession())
    predictor.set_image(image)
    wanted = predictor.auto_prompt().point_coords
    steps = np.rint(predictor.auto_saliency_map() * 255).astype(np.uint8)
    Image.fromarray(steps).save(tmp_path / f"{record.path.stem}.png")
    for source in (Path("saliency"), tmp_path):
        saliency = saliency_map(source, record.path, image)
        found = saliency_clicks(saliency).scaled_to(image.shape[:2])
        assert np.array_equal(found, wanted)

import dataclasses

import numpy as np
import pytest

from sqsam_deploy.datasets import Dataset, bundled_dataset
from sqsam_deploy.errors import DataError
from sqsam_deploy.model.config import RELEASE_2023_12
from sqsam_deploy.quantization import build_calibration
from sqsam_deploy.quantization.prompting import PROMPT_KINDS, draw_prompt
from tests.tiny_network import TINY


def test_one_seed_gives_one_set_and_another_seed_another() -> None:
    dataset = bundled_dataset("calibration")
    first, again, other = (build_calibration(dataset, TINY, size=3, seed=s) for s in (1, 1, 2))
    for a, b in zip(first, again, strict=True):
        assert all(x.equal(y) for x, y in zip(a, b, strict=True))
    assert first.entry == again.entry
    assert first.images_sha256 != other.images_sha256


def test_prompts_of_every_kind_are_drawn() -> None:
    calibration = build_calibration(bundled_dataset("calibration"), TINY, size=5)
    labels = [tuple(sample[3].flatten().tolist()) for sample in calibration]
    clicks = [sum(v in (0, 1) for v in sample) for sample in labels]
    boxes = [2 in sample for sample in labels]
    kinds = {(min(c, 2), b) for c, b in zip(clicks, boxes, strict=True)}
    assert {(1, False), (2, False), (0, True), (0, False)} <= kinds
    assert any(c and b for c, b in zip(clicks, boxes, strict=True))


def test_clicks_lie_on_the_object_and_boxes_near_it() -> None:
    mask = np.zeros((40, 60), bool)
    mask[10:20, 30:50] = True
    rng = np.random.default_rng(0)
    for kind in range(PROMPT_KINDS * 20):
        prompt = draw_prompt(mask, kind, rng)
        for x, y in prompt.point_coords.astype(int):
            assert mask[y, x]
        if prompt.box is not None:
            # Two standard deviations of 10% of a 20x10 object.
            assert np.abs(np.array(prompt.box) - (30, 10, 49, 19)).max() <= 4.0


def test_inputs_are_whole_pixels_of_the_preset() -> None:
    image, maps, coords, labels = next(
        iter(build_calibration(bundled_dataset("calibration"), TINY, size=1))
    )
    assert image.shape == (1, 3, 32, 32) and maps.shape == (1, 2, 32, 32)
    assert coords.shape == (1, 8, 2) and labels.shape == (1, 8)
    assert image.equal(image.round()) and image.min() >= 0 and image.max() <= 255
    assert set(maps.unique().tolist()) <= {0.0, 255.0}


def test_presets_without_late_fusion_take_two_inputs() -> None:
    config = dataclasses.replace(RELEASE_2023_12, image_size=32)
    assert len(next(iter(build_calibration(bundled_dataset("calibration"), config, size=1)))) == 2


def test_an_empty_dataset_is_refused() -> None:
    with pytest.raises(DataError, match="no images to calibrate on"):
        build_calibration(Dataset("nothing", ()), TINY)

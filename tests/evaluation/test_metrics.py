import numpy as np
import pytest

from sqsam_deploy._internal.geometry import mask_iou
from sqsam_deploy.evaluation.metrics import size_class


def test_iou_is_that_of_pycocotools():
    from pycocotools import mask as coco_mask

    rng = np.random.default_rng(0)
    for share in (0.1, 0.5, 0.9):
        a, b = rng.random((2, 37, 53)) < share
        rles = [coco_mask.encode(np.asfortranarray(m, np.uint8)) for m in (a, b)]
        assert mask_iou(a, b) == pytest.approx(coco_mask.iou([rles[0]], [rles[1]], [0])[0, 0])


def test_two_empty_masks_agree_and_one_does_not():
    empty, full = np.zeros((4, 4), bool), np.ones((4, 4), bool)
    assert mask_iou(empty, empty) == 1
    assert mask_iou(empty, full) == 0


@pytest.mark.parametrize(
    ("area", "size"),
    [(1, "small"), (1023, "small"), (1024, "medium"), (9215, "medium"), (9216, "large")],
)
def test_size_classes_are_coco_s(area, size):
    assert size_class(area) == size

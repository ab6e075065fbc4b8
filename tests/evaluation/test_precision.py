"""AP against pycocotools' own, the reference implementation."""

from pathlib import Path

import numpy as np
import pytest

from sqsam_deploy.datasets import open_dataset, subset
from sqsam_deploy.evaluation.evaluator import SegmentResult
from sqsam_deploy.evaluation.precision import average_precision


@pytest.fixture
def annotations(shared: Path) -> Path:
    return shared / "data" / "coco_mini" / "annotations" / "instances_mini2017.json"


def _segments(annotations: Path, damage: float) -> tuple[list[SegmentResult], list[str]]:
    """Every object's own mask, shifted right by up to `damage` of its width, in random order."""
    from pycocotools import mask as coco_mask
    from pycocotools.coco import COCO

    reference, rng = COCO(str(annotations)), np.random.default_rng(0)
    dataset = subset(open_dataset(annotations), 40, seed=0)
    segments = []
    for record in dataset:
        for item in record.objects:
            width = item.box[2] - item.box[0]
            shifted = np.roll(item.mask(), int(damage * width * rng.random()), axis=1)
            rle = coco_mask.encode(np.asfortranarray(shifted, np.uint8))
            segmentation = {"size": list(rle["size"]), "counts": rle["counts"].decode()}
            category = reference.anns[int(item.id)]["category_id"]
            segments.append(
                SegmentResult("x", record.id, category, float(rng.random()), segmentation)
            )
    return segments, [record.id for record in dataset]


def test_the_truth_has_an_ap_of_100(annotations):
    ap = average_precision(annotations, *_segments(annotations, damage=0))
    assert (ap.ap, ap.ap50, ap.ap75) == pytest.approx((100, 100, 100))


def test_damaged_masks_have_the_ap_of_pycocotools(annotations, capsys):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    segments, images = _segments(annotations, damage=0.3)
    ap = average_precision(annotations, segments, images)
    truth = COCO(str(annotations))
    found = truth.loadRes(
        [
            {
                "image_id": int(s.image),
                "category_id": s.category_id,
                "segmentation": dict(s.segmentation),
                "score": s.score,
            }
            for s in segments
        ]
    )
    evaluation = COCOeval(truth, found, "segm")
    evaluation.params.imgIds = [int(image) for image in images]
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    assert 20 < ap.ap < 90
    ours = (ap.ap, ap.ap50, ap.ap75, ap.ap_small, ap.ap_medium, ap.ap_large)
    assert ours == pytest.approx(100 * evaluation.stats[:6], abs=0.01)


def test_without_detections_there_is_no_ap(annotations):
    assert average_precision(annotations, [], ["30"]) is None

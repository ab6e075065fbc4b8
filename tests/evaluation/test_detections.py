import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from sqsam_deploy._internal.geometry import box_iou
from sqsam_deploy.datasets import ImageRecord, ObjectRecord
from sqsam_deploy.errors import DataError
from sqsam_deploy.evaluation.detections import (
    Detection,
    coco_limit,
    lvis_limit,
    match_detections,
    read_detections,
)


def _record(*objects: tuple[str, tuple[float, float, float, float]]) -> ImageRecord:
    items = [
        ObjectRecord(str(i), name, 100.0, box, source=None) for i, (name, box) in enumerate(objects)
    ]
    return ImageRecord("1", Path("1.jpg"), 100, 100, tuple(items))


def _detection(category: str, box: tuple[float, float, float, float], score: float) -> Detection:
    return Detection(1, category, box, score)


def _write(path: Path, entries: object) -> Path:
    path.write_text(json.dumps(entries))
    return path


def test_box_iou_is_that_of_pycocotools():
    from pycocotools import mask as coco_mask

    rng = np.random.default_rng(0)
    for _ in range(20):
        corner, size = rng.uniform(0, 30, (2, 2)), rng.uniform(1, 40, (2, 2))
        ours = box_iou(*[(*c, *(c + s)) for c, s in zip(corner, size, strict=True)])
        theirs = coco_mask.iou([[*corner[0], *size[0]]], [[*corner[1], *size[1]]], [0])[0, 0]
        assert ours == pytest.approx(theirs)


def test_results_are_read_best_first_with_names_and_corners(tmp_path):
    entries = [
        {"image_id": 1, "category_id": 3, "bbox": [10, 20, 30, 40], "score": 0.2},
        {"image_id": 1, "category_id": 3, "bbox": [1, 2, 3, 4], "score": 0.9},
    ]
    found = read_detections(_write(tmp_path / "r.json", entries), {3: "car"})
    assert [d.score for d in found["1"]] == [0.9, 0.2]
    assert found["1"][1] == Detection(3, "car", (10, 20, 40, 60), 0.2)


def test_coco_looks_at_100_of_a_category_and_lvis_at_300_of_an_image(tmp_path):
    entries = [
        {"image_id": 1, "category_id": i % 4, "bbox": [1, 2, 3, 4], "score": i / 1000}
        for i in range(440)
    ]
    path, names = _write(tmp_path / "r.json", entries), {i: f"{i}" for i in range(4)}
    for_coco = read_detections(path, names, coco_limit)["1"]
    assert Counter(d.category_id for d in for_coco) == {0: 100, 1: 100, 2: 100, 3: 100}
    assert min(d.score for d in for_coco) == 0.04
    for_lvis = read_detections(path, names, lvis_limit)["1"]
    assert [d.score for d in for_lvis] == [i / 1000 for i in range(439, 139, -1)]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([{"image_id": 1, "category_id": 3, "bbox": [1, 2, 3], "score": 1}], r"0\.bbox"),
        ([{"image_id": 1, "category_id": 9, "bbox": [1, 2, 3, 4], "score": 1}], "category 9"),
        ({"a": 1}, "not a COCO results file"),
    ],
)
def test_what_is_no_results_file_is_named(tmp_path, entries, message):
    with pytest.raises(DataError, match=message):
        read_detections(_write(tmp_path / "r.json", entries), {3: "car"})


def test_the_best_score_takes_the_object_and_each_object_is_taken_once():
    record = _record(("cat", (0, 0, 10, 10)), ("cat", (50, 50, 90, 90)))
    detections = [
        _detection("cat", (0, 0, 10, 9), 0.9),
        _detection("cat", (0, 0, 10, 10), 0.8),  # the better box, but too late
        _detection("cat", (52, 52, 90, 90), 0.7),
    ]
    assert match_detections(detections, record) == (0, None, 1)


def test_category_and_an_overlap_of_half_are_required():
    record = _record(("cat", (0, 0, 10, 10)))
    assert match_detections([_detection("dog", (0, 0, 10, 10), 0.9)], record) == (None,)
    assert match_detections([_detection("cat", (0, 0, 10, 4.9), 0.9)], record) == (None,)
    assert match_detections([_detection("cat", (0, 0, 10, 5), 0.9)], record) == (0,)

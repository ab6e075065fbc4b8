"""AP against pycocotools' own, the reference implementation, and against LVIS's rules."""

import json
from collections import defaultdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sqsam_deploy.datasets import open_dataset, subset
from sqsam_deploy.datasets.coco import every_image
from sqsam_deploy.evaluation.evaluator import SegmentResult, open_scene
from sqsam_deploy.evaluation.precision import average_precision


@pytest.fixture
def annotations(shared: Path) -> Path:
    return shared / "data" / "coco_mini" / "annotations" / "instances_mini2017.json"


def _segments(annotations: Path, damage: float) -> tuple[list[SegmentResult], list[str]]:
    """Every object's own mask, shifted right by up to `damage` of its width, in random order."""
    from pycocotools.coco import COCO

    reference, rng = COCO(str(annotations)), np.random.default_rng(0)
    dataset = subset(open_dataset(annotations), 40, seed=0)
    segments = []
    for record in dataset:
        for item in record.objects:
            width = item.box[2] - item.box[0]
            shifted = np.roll(item.mask(), int(damage * width * rng.random()), axis=1)
            category = reference.anns[int(item.id)]["category_id"]
            segments.append(_segment(record.id, category, float(rng.random()), shifted))
    return segments, [record.id for record in dataset]


def _segment(image: str, category: int, score: float, mask: np.ndarray) -> SegmentResult:
    from pycocotools import mask as coco_mask

    rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
    segmentation = {"size": list(rle["size"]), "counts": rle["counts"].decode()}
    return SegmentResult("x", image, category, score, segmentation)


def _pycocotools(annotations: Path, segments: list[SegmentResult], images: list[str], **params):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth = COCO(str(annotations))
    found = truth.loadRes([_as_result(s) for s in segments])
    evaluation = COCOeval(truth, found, "segm")
    evaluation.params.imgIds = [int(image) for image in images]
    for name, value in params.items():
        setattr(evaluation.params, name, value)
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    return 100 * evaluation.stats[:6]


def _as_result(segment: SegmentResult) -> dict:
    return {
        "image_id": int(segment.image),
        "category_id": segment.category_id,
        "segmentation": dict(segment.segmentation),
        "score": segment.score,
    }


def test_the_truth_has_an_ap_of_100(annotations):
    ap = average_precision(annotations, *_segments(annotations, damage=0))
    assert (ap.ap, ap.ap50, ap.ap75, ap.ap_person) == pytest.approx((100, 100, 100, 100))


def test_damaged_masks_have_the_ap_of_pycocotools(annotations, capsys):
    segments, images = _segments(annotations, damage=0.3)
    ap = average_precision(annotations, segments, images)
    assert 20 < ap.ap < 90
    ours = (ap.ap, ap.ap50, ap.ap75, ap.ap_small, ap.ap_medium, ap.ap_large)
    assert ours == pytest.approx(_pycocotools(annotations, segments, images), abs=0.01)
    persons = _pycocotools(annotations, segments, images, catIds=[1])
    assert ap.ap_person == pytest.approx(persons[0], abs=0.01)
    assert abs(ap.ap_person - ap.ap) > 0.1


def test_without_detections_there_is_no_ap(annotations):
    assert average_precision(annotations, [], ["30"]) is None


#: Pixels of a side of the made photos.
SIDE = 64


def _square(number: int) -> np.ndarray:
    """One of 16 squares that do not touch."""
    row, column = divmod(number, 4)
    mask = np.zeros((SIDE, SIDE), bool)
    mask[16 * row : 16 * row + 12, 16 * column : 16 * column + 12] = True
    return mask


@pytest.fixture
def made(tmp_path) -> Path:
    """Six photos, two categories; the last two photos have no object, the fifth only a crowd."""
    annotations = []
    for image in range(1, 5):
        for number in range(image + 1):
            x, y = 16 * (number % 4), 16 * (number // 4)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image,
                    "category_id": 1 + number % 2,
                    "segmentation": [[x, y, x + 12, y, x + 12, y + 12, x, y + 12]],
                    "bbox": [x, y, 12, 12],
                    "area": 144,
                    "iscrowd": 0,
                }
            )
    images = [
        {
            "id": i,
            "file_name": f"{i}.png",
            "width": SIDE,
            "height": SIDE,
            # Photo 5 is known to lack category 1; photo 6 was searched for neither.
            "neg_category_ids": [1] if i == 5 else [],
            "not_exhaustive_category_ids": [2] if i == 4 else [],
        }
        for i in range(1, 7)
    ]
    for image in images:
        Image.new("RGB", (SIDE, SIDE)).save(tmp_path / image["file_name"])
    categories = [
        {"id": i, "name": name, "frequency": "f"} for i, name in ((1, "person"), (2, "x"))
    ]
    content = {"images": images, "annotations": annotations, "categories": categories}
    path = tmp_path / "made.json"
    path.write_text(json.dumps(content))
    return path


def _as_coco(path: Path) -> Path:
    content = json.loads(path.read_text())
    for image in content["images"]:
        del image["neg_category_ids"], image["not_exhaustive_category_ids"]
    crowd = dict(content["annotations"][0], id=99, image_id=5, iscrowd=1)
    content["annotations"].append(crowd)
    coco = path.with_name("coco.json")
    coco.write_text(json.dumps(content))
    return coco


def _guesses(count: int) -> list[SegmentResult]:
    """Squares at random in every photo, some of which are objects."""
    rng = np.random.default_rng(1)
    return [
        _segment(
            str(image),
            int(rng.integers(1, 3)),
            float(rng.random()),
            np.roll(_square(int(rng.integers(6))), int(rng.integers(3)), axis=1),
        )
        for image in range(1, 7)
        for _ in range(count)
    ]


def test_images_without_objects_count_for_wrong_detections(made, capsys):
    coco = _as_coco(made)
    dataset = every_image(open_dataset(coco), coco, None)
    assert [record.id for record in dataset] == ["1", "2", "3", "4", "5", "6"]
    assert [len(open_scene(record).masks) for record in dataset] == [2, 3, 4, 5, 0, 0]
    segments = _guesses(12)
    whole, part = [str(i) for i in range(1, 7)], [str(i) for i in range(1, 5)]
    ap = average_precision(coco, segments, whole)
    assert ap.ap == pytest.approx(_pycocotools(coco, segments, whole)[0], abs=0.01)
    without = [s for s in segments if s.image in part]
    assert average_precision(coco, without, part).ap > ap.ap


@pytest.mark.parametrize("count", [12, 250])
def test_lvis_files_are_scored_by_lvis_s_rules(made, count):
    """250 detections an image are more than COCO's 100 and fewer than LVIS's 300."""
    segments = _guesses(count)
    ap = average_precision(made, segments, [str(i) for i in range(1, 7)])
    by_category = _lvis_ap(json.loads(made.read_text()), segments)
    assert 0 < by_category[1] < 100
    assert ap.ap_person == pytest.approx(by_category[1], abs=0.01)
    assert ap.ap == pytest.approx(np.mean(list(by_category.values())), abs=0.01)


@pytest.mark.parametrize("count", [12, 250])
def test_lvis_files_have_the_ap_of_lvis_s_own_package(made, count, monkeypatch):
    lvis = pytest.importorskip("lvis", reason="the package lvis is not installed")
    # It was written for NumPy before 1.24.
    monkeypatch.setattr(np, "float", float, raising=False)
    segments = _guesses(count)
    truth = lvis.LVIS(str(made))
    found = lvis.LVISResults(truth, [_as_result(s) for s in segments])
    evaluation = lvis.LVISEval(truth, found, "segm")
    evaluation.run()
    theirs = evaluation.get_results()
    ap = average_precision(made, segments, [str(i) for i in range(1, 7)])
    ours = {"AP": ap.ap, "AP50": ap.ap50, "AP75": ap.ap75, "APs": ap.ap_small}
    assert 0 < ap.ap < 100
    for name, value in ours.items():
        assert value == pytest.approx(100 * theirs[name], abs=0.01), name
    # No object is larger.
    assert theirs["APm"] == theirs["APl"] == -1
    assert ap.ap_medium is None and ap.ap_large is None


def _lvis_ap(content: dict, segments: list[SegmentResult]) -> dict[int, float]:
    """AP by category, written after the rules of Gupta et al., "LVIS", section 3."""
    truth, ranked = defaultdict(list), defaultdict(list)
    for entry in content["annotations"]:
        truth[entry["image_id"], entry["category_id"]].append(_polygon_mask(entry))
    images = {image["id"]: image for image in content["images"]}
    for s in sorted(segments, key=lambda s: -s.score):
        image = images[int(s.image)]
        if s.category_id in image["neg_category_ids"] or (image["id"], s.category_id) in truth:
            ranked[s.category_id].append((image, s))
    return {c: 100 * np.mean([_ap_at(t, c, truth, ranked[c]) for t in _THRESHOLDS]) for c in (1, 2)}


_THRESHOLDS = np.linspace(0.5, 0.95, 10)


def _ap_at(threshold: float, category: int, truth: dict, ranked: list) -> float:
    taken, hits = set(), []
    for image, segment in ranked:
        objects = truth.get((image["id"], category), [])
        free = [i for i in range(len(objects)) if (image["id"], i) not in taken]
        overlaps = {i: _iou(objects[i], _decoded(segment)) for i in free}
        best = max(reversed(free), key=overlaps.get, default=None)
        if best is not None and overlaps[best] >= threshold - 1e-9:
            taken.add((image["id"], best))
            hits.append(True)
        elif category not in image["not_exhaustive_category_ids"]:
            hits.append(False)
    total = sum(len(objects) for (_, c), objects in truth.items() if c == category)
    found = np.cumsum(hits)
    recall, precision = found / total, found / np.arange(1, len(hits) + 1)
    return float(np.mean([max(precision[recall >= r - 1e-12], default=0) for r in _RECALLS]))


_RECALLS = np.linspace(0, 1, 101)


def _polygon_mask(entry: dict) -> np.ndarray:
    from pycocotools import mask as coco_mask

    return coco_mask.decode(coco_mask.frPyObjects(entry["segmentation"], SIDE, SIDE))[..., 0] > 0


def _decoded(segment: SegmentResult) -> np.ndarray:
    from pycocotools import mask as coco_mask

    return coco_mask.decode(segment.segmentation) > 0


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    return (a & b).sum() / (a | b).sum()

"""The photos that travel with the package are complete, small and may be shipped."""

import json
from pathlib import Path

import numpy as np
import pytest

import sqsam_deploy.datasets.bundled as bundled
from sqsam_deploy.datasets import bundled_dataset, load_image

FOLDER = Path(bundled.__file__).parent


@pytest.mark.parametrize(
    ("name", "images", "objects"), [("calibration", 32, 125), ("sample", 63, 281)]
)
def test_every_photo_and_mask_is_there(name, images, objects):
    dataset = bundled_dataset(name)
    assert (len(dataset), dataset.object_count) == (images, objects)
    for record in dataset:
        assert load_image(record).shape == (record.height, record.width, 3)
        for item in record.objects:
            x0, y0, x1, y1 = (int(edge) for edge in item.box)
            mask = item.mask()
            assert mask[y0:y1, x0:x1].sum() == mask.sum() > 0


def test_no_photo_is_in_both():
    ids = [{record.id for record in bundled_dataset(name)} for name in ("calibration", "sample")]
    assert not ids[0] & ids[1]


@pytest.mark.parametrize("name", ["calibration", "sample"])
def test_every_photo_is_free_to_ship_and_attributed(name):
    text = (FOLDER / name / "ATTRIBUTION.md").read_text()
    for entry in json.loads((FOLDER / name / "index.json").read_text()):
        attribution = entry["attribution"]
        assert attribution["license"] in ("CC BY 2.0", "CC BY-SA 2.0")
        assert attribution["photo_page"] in text
        assert entry["image"] in text


def test_the_sample_is_at_most_6_megabytes():
    assert sum(path.stat().st_size for path in (FOLDER / "sample").iterdir()) <= 6e6


def test_photos_and_masks_are_the_evaluation_set_s_own(shared):
    entries = json.loads((shared / "data" / "eval" / "index.json").read_text())
    free = {e["id"]: e for e in entries if e.get("coco_license") in (4, 5)}
    dataset = bundled_dataset("sample")
    assert {record.id for record in dataset} == set(free)
    for record in list(dataset)[::9]:
        assert np.array_equal(
            np.frombuffer(record.path.read_bytes(), np.uint8),
            np.frombuffer((shared / "data/eval" / free[record.id]["image"]).read_bytes(), np.uint8),
        )

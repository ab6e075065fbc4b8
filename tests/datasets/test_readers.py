"""COCO, LVIS and folders, against pycocotools' own reading of the same files."""

import json
import runpy
from pathlib import Path

import numpy as np
import pytest

from sqsam_deploy.benchmark.memory import resident_bytes
from sqsam_deploy.datasets import load_image, open_dataset, subset, with_lvis
from sqsam_deploy.datasets.records import Dataset
from sqsam_deploy.errors import DataError, UsageError

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def annotations(shared: Path) -> Path:
    return shared / "data" / "coco_mini" / "annotations"


def test_coco_masks_and_boxes_are_those_of_pycocotools(annotations, capsys):
    from pycocotools.coco import COCO

    path = annotations / "instances_mini2017.json"
    reference = COCO(str(path))
    dataset = open_dataset(path)
    records = {item.id: item for image in dataset for item in image.objects}
    kept = [entry for entry in reference.anns.values() if not entry["iscrowd"]]
    assert set(records) == {str(entry["id"]) for entry in kept}
    for entry in kept[::7]:
        record = records[str(entry["id"])]
        assert np.array_equal(record.mask(), reference.annToMask(entry).astype(bool))
        x, y, width, height = entry["bbox"]
        assert record.box == pytest.approx((x, y, x + width, y + height))
        assert record.category == reference.cats[entry["category_id"]]["name"]


def test_every_coco_photo_is_found_and_has_the_stated_size(annotations):
    dataset = open_dataset(annotations / "instances_mini2017.json")
    for record in subset(dataset, 10, seed=0):
        assert load_image(record).shape == (record.height, record.width, 3)


def test_lvis_v1_without_file_names_gives_the_same_objects(annotations):
    coco = open_dataset(annotations / "instances_mini2017.json")
    lvis = open_dataset(annotations / "lvis_schema_from_coco_mini.json")
    assert [image.path for image in lvis] == [image.path for image in coco]
    assert _object_ids(lvis) == _object_ids(coco)
    first = coco.images[0].objects[0], lvis.images[0].objects[0]
    assert np.array_equal(first[0].mask(), first[1].mask())


def test_lvis_v05_photos_are_found_by_coco_url(annotations):
    dataset = open_dataset(annotations / "lvis_v0.5_val_7imgs.json")
    assert len(dataset) == 7
    assert dataset.object_count == 52
    assert all(image.path.is_file() for image in dataset)


def test_uncompressed_and_compressed_run_lengths(tmp_path):
    from pycocotools import mask as coco_mask

    mask = np.zeros((6, 5), np.uint8)
    mask[1:4, 2:5] = 1
    compressed = coco_mask.encode(np.asfortranarray(mask))["counts"].decode()
    runs = [13, 3, 3, 3, 3, 3, 2]  # down the columns: two empty ones and a row come first
    path = _write_coco(tmp_path, [runs, compressed], height=6, width=5)
    for item in open_dataset(path, tmp_path).images[0].objects:
        assert np.array_equal(item.mask(), mask.astype(bool))


def test_damaged_run_lengths_name_the_annotation(tmp_path):
    path = _write_coco(tmp_path, [[3, 3]], height=6, width=5)
    with pytest.raises(DataError, match=r"annotation 0.*6 pixels.*30"):
        open_dataset(path, tmp_path)


def test_lvis_masks_replace_the_coco_masks_they_overlap_by_over_80_percent(annotations):
    coco = open_dataset(annotations / "instances_mini2017.json")
    lvis = open_dataset(annotations / "lvis_v0.5_val_7imgs.json")
    merged = with_lvis(coco, lvis)
    lvis_by_id = {image.id: image for image in lvis}
    replaced = 0
    for before, after in zip(coco, merged, strict=True):
        own = after.objects[: len(before.objects)]
        for old, new in zip(before.objects, own, strict=True):
            assert (new.id, new.category) == (old.id, old.category)
            if new.source is old.source:
                for other in _objects(lvis_by_id, before.id):
                    assert _iou(old.mask(), other.mask()) <= 0.8 or _serves(other, after)
            else:
                replaced += 1
                assert _iou(old.mask(), new.mask()) > 0.8
    assert replaced > 5


def test_lvis_masks_without_a_partner_follow_those_of_coco(annotations):
    coco = open_dataset(annotations / "instances_mini2017.json")
    lvis = open_dataset(annotations / "lvis_v0.5_val_7imgs.json")
    counts = {image.id: len(image.objects) for image in lvis}
    ids = [item.id for image in with_lvis(coco, lvis) for item in image.objects]
    assert len(ids) == len(set(ids))
    added = 0
    for before, after in zip(coco, with_lvis(coco, lvis), strict=True):
        served = sum(
            new.source is not old.source
            for old, new in zip(before.objects, after.objects, strict=False)
        )
        more = after.objects[len(before.objects) :]
        assert len(more) == counts.get(before.id, 0) - served
        added += len(more)
    assert added > 5


def test_overlap_of_unrelated_datasets_is_refused(annotations, shared):
    lvis = open_dataset(annotations / "lvis_v0.5_val_7imgs.json")
    with pytest.raises(UsageError, match="no image in common"):
        with_lvis(open_dataset(shared / "data" / "eval"), lvis)


def test_folder_lists_every_object_with_its_area_and_box(shared):
    dataset = open_dataset(shared / "data" / "eval")
    assert (len(dataset), dataset.object_count) == (268, 568)
    for record in subset(dataset, 12, seed=1):
        for item in record.objects:
            mask = item.mask()
            rows, columns = np.nonzero(mask)
            edges = (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
            assert mask.shape == (record.height, record.width)
            assert item.box == edges
            assert item.area == pytest.approx(mask.sum(), abs=mask.size * 6e-6 + 1)


@pytest.mark.slow
def test_a_file_is_read_without_decoding_its_masks(tmp_path, monkeypatch):
    from pycocotools import mask as coco_mask

    write_coco = runpy.run_path(str(BENCHMARKS / "coco_memory.py"))["write_coco"]
    path = write_coco(tmp_path, photos=500, masks=3600)  # A tenth of val2017.
    decoded, decode = [], coco_mask.frPyObjects
    monkeypatch.setattr(coco_mask, "frPyObjects", lambda *a: decoded.append(1) or decode(*a))
    before = resident_bytes()
    dataset = open_dataset(path, tmp_path / "images")
    assert 0 < len(decoded) < 300
    assert (len(dataset), dataset.object_count) == (500, 3600)
    # As bitmaps the masks would take 3,600 x 640 x 480 bytes = 1.1 GB.
    assert resident_bytes() - before < 2e8


def test_subsets_are_nested_and_independent_of_order(shared):
    dataset = open_dataset(shared / "data" / "calibration")
    small, large = subset(dataset, 5, seed=3), subset(dataset, 12, seed=3)
    ids = [image.id for image in small]
    assert len(ids) == 5
    assert set(ids) < {image.id for image in large}
    assert ids == [image.id for image in dataset if image.id in ids]
    shuffled = Dataset(dataset.name, dataset.images[::-1])
    assert {image.id for image in subset(shuffled, 5, seed=3)} == set(ids)
    assert {image.id for image in subset(dataset, 5, seed=4)} != set(ids)
    assert len(subset(dataset, 1000, seed=3)) == 32


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not JSON"),
        ("[]", "has no 'images'"),
        ('{"images": [], "annotations": [], "categories": []}', "no object"),
        ('{"images": [{}], "annotations": [], "categories": []}', "without an id"),
    ],
)
def test_a_file_of_another_format_is_named(tmp_path, content, message):
    path = tmp_path / "instances.json"
    path.write_text(content)
    with pytest.raises(DataError, match=message) as caught:
        open_dataset(path)
    assert str(path) in str(caught.value)


def test_photos_that_are_nowhere_are_asked_for(tmp_path):
    path = _write_coco(tmp_path / "annotations", [[30]], height=6, width=5, photo=False)
    with pytest.raises(DataError, match="name the photos' directory"):
        open_dataset(path)


def test_a_broken_index_names_the_entry_and_the_key(tmp_path):
    (tmp_path / "index.json").write_text('[{"id": "a", "image": "a.jpg", "width": 0}]')
    with pytest.raises(DataError, match=r"entry 0\.width"):
        open_dataset(tmp_path)


def test_two_images_of_one_id_are_refused(tmp_path):
    entry = {"id": "a", "image": "a.jpg", "width": 4, "height": 4}
    item = {"file": "m.png", "area_frac": 0.5, "bbox_xyxy": [0, 0, 2, 2]}
    entries = [entry | {"objects": [item]}, entry | {"objects": []}]
    (tmp_path / "index.json").write_text(json.dumps(entries))
    with pytest.raises(DataError, match="2 images of id 'a'"):
        open_dataset(tmp_path)


def _write_coco(root: Path, counts: list, *, height: int, width: int, photo: bool = True) -> Path:
    root.mkdir(exist_ok=True)
    annotations = [
        {
            "id": index,
            "image_id": 7,
            "category_id": 1,
            "area": 9,
            "bbox": [2, 1, 3, 3],
            "segmentation": {"counts": runs, "size": [height, width]},
        }
        for index, runs in enumerate(counts)
    ]
    image = {"id": 7, "file_name": "7.jpg", "height": height, "width": width}
    content = {
        "images": [image],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "thing"}],
    }
    if photo:
        (root / "7.jpg").touch()
    path = root / "instances.json"
    path.write_text(json.dumps(content))
    return path


def _object_ids(dataset: Dataset) -> list[str]:
    return sorted(item.id for image in dataset for item in image.objects)


def _objects(images: dict, image_id: str) -> tuple:
    return images[image_id].objects if image_id in images else ()


def _serves(lvis_object, image) -> bool:
    return any(item.source is lvis_object.source for item in image.objects)


def _iou(a: np.ndarray, b: np.ndarray) -> float:
    return float((a & b).sum() / (a | b).sum())

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from sqsam_deploy.errors import DataError
from sqsam_deploy.training.readers import SkipList, find_items
from tests.training.conftest import SIDE, write_coco, write_folder, write_lvis


def test_folder_gives_every_mask_of_the_index(
    photo_folder: Path,
) -> None:
    skipped = SkipList()
    index = json.loads((photo_folder / "index.json").read_text())
    known = {entry["id"]: entry for entry in index}
    for item in find_items(photo_folder):
        photo = item.read(skipped)
        assert photo is not None
        entry = known[photo.id]
        assert photo.image.shape == (entry["height"], entry["width"], 3)
        areas = [known_object["area_frac"] for known_object in entry["objects"]]
        np.testing.assert_allclose(photo.masks.mean(axis=(1, 2)), areas, atol=1e-5)
    assert not skipped.entries


def test_bad_files_are_skipped_with_their_reason(
    tmp_path: Path, shared: Path, train_index: list[dict[str, Any]]
) -> None:
    entries = [dict(entry) for entry in train_index if len(entry["masks"]) >= 2][:4]
    write_folder(tmp_path, shared / "data/train", entries)
    broken, missing, wrong_size, empty = entries
    del entries[0]["masks"], entries[1]["objects"]  # either key lists them
    (tmp_path / "index.json").write_text(json.dumps(entries))
    image = tmp_path / broken["image"]
    image.write_bytes(image.read_bytes()[:2000])
    (tmp_path / missing["masks"][0]).unlink()
    Image.new("L", (7, 7), 255).save(tmp_path / wrong_size["masks"][0])
    Image.new("L", (empty["width"], empty["height"])).save(tmp_path / empty["masks"][0])
    skipped = SkipList()
    photos = [item.read(skipped) for item in find_items(tmp_path)]
    counts = [0 if photo is None else len(photo.masks) for photo in photos]
    assert counts == [0] + [len(entry["masks"]) - 1 for entry in entries[1:]]
    named = [broken["image"], *(entry["masks"][0] for entry in (missing, wrong_size, empty))]
    assert len(skipped.entries) == 4
    for entry, name in zip(skipped.entries, named, strict=True):
        assert Path(name).stem in entry


def test_image_without_usable_mask_is_skipped(
    tmp_path: Path, shared: Path, train_index: list[dict[str, Any]]
) -> None:
    write_folder(tmp_path, shared / "data/train", train_index[:1])
    for name in train_index[0]["masks"]:
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(DataError, match="cannot be read"):
        find_items(tmp_path)


def test_sa1b_format_gives_the_masks_its_rle_was_made_from(
    tmp_path: Path, photo_folder: Path
) -> None:
    photo = next(item.read(SkipList()) for item in find_items(photo_folder))
    assert photo is not None
    _write_sa1b(tmp_path / "sa_000000", "sa_1", photo.image, photo.masks)
    items = find_items(tmp_path)
    read = items[0].read(SkipList())
    assert read is not None
    assert (len(items), read.id, read.source) == (1, "sa_1", "SA-1B")
    np.testing.assert_array_equal(read.masks, photo.masks)


def test_sa1b_mask_of_another_size_is_skipped(tmp_path: Path) -> None:
    mask = np.ones((1, 30, 40), bool)
    _write_sa1b(tmp_path, "sa_1", np.zeros((31, 40, 3), np.uint8), mask)
    skipped = SkipList()
    assert find_items(tmp_path)[0].read(skipped) is None
    assert "40x31" in skipped.entries[0] and "40x30" in skipped.entries[0]


def test_sa1b_annotation_that_is_no_json_is_skipped(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "sa_1.jpg")
    (tmp_path / "sa_1.json").write_text("{")
    skipped = SkipList()
    assert find_items(tmp_path)[0].read(skipped) is None
    assert "sa_1.json" in skipped.entries[0]


def test_coco_file_gives_polygons_and_run_lengths_and_no_crowd(tmp_path: Path) -> None:
    items = find_items(write_coco(tmp_path))
    skipped = SkipList()
    photos = [item.read(skipped) for item in items]
    assert [photo.id for photo in photos if photo] == ["7", "8"]
    for photo in photos:
        assert photo is not None
        assert photo.image.shape == (SIDE, SIDE, 3)
        expected = [_square(8, 8), _square(24, 20)]
        np.testing.assert_array_equal(photo.masks, np.stack(expected))
    assert len(skipped.entries) == 2
    assert all("crowd" in entry for entry in skipped.entries)


def test_lvis_file_names_its_photos_by_their_address(tmp_path: Path) -> None:
    items = find_items(write_lvis(tmp_path))
    photos = [item.read(SkipList()) for item in items]
    assert [(photo.id, len(photo.masks)) for photo in photos if photo] == [("7", 2), ("8", 2)]


def test_an_annotation_that_changed_is_another_version(tmp_path: Path) -> None:
    path = write_coco(tmp_path)
    before = [item.version for item in find_items(path)]
    content = json.loads(path.read_text())
    content["annotations"][0]["segmentation"][0][0] -= 1
    path.write_text(json.dumps(content))
    after = [item.version for item in find_items(path)]
    assert after[0] != before[0] and after[1] == before[1]


def test_folder_without_data_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"neither index\.json nor photos"):
        find_items(tmp_path)


@pytest.mark.parametrize("content", ["{", "[{}]", '{"images": 3}'])
def test_damaged_index_is_an_error(tmp_path: Path, content: str) -> None:
    (tmp_path / "index.json").write_text(content)
    with pytest.raises(DataError, match=r"index\.json is not"):
        find_items(tmp_path)


def _write_sa1b(folder: Path, name: str, image: np.ndarray, masks: np.ndarray) -> None:
    folder.mkdir(exist_ok=True)
    Image.fromarray(image).save(folder / f"{name}.jpg")
    rles = [coco_mask.encode(np.asfortranarray(mask.astype(np.uint8))) for mask in masks]
    annotations = [
        {"segmentation": {"size": rle["size"], "counts": rle["counts"].decode()}} for rle in rles
    ]
    (folder / f"{name}.json").write_text(json.dumps({"annotations": annotations}))


def _square(left: int, top: int) -> np.ndarray:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[top : top + 16, left : left + 16] = True
    return mask

"""Nothing in a data set's files reaches native code unchecked, ends a run, or goes uncounted."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from sqsam_deploy.datasets import load_all, open_dataset
from sqsam_deploy.datasets.masks import RleMask
from sqsam_deploy.errors import DataError
from sqsam_deploy.training.prepared import prepare
from sqsam_deploy.training.readers import SkipList, find_items

SIDE = 20
SQUARE = [2, 2, 12, 2, 12, 12, 2, 12]
GOOD = {
    "id": 1,
    "image_id": 1,
    "category_id": 1,
    "area": 100,
    "bbox": [2, 2, 10, 10],
    "segmentation": [SQUARE],
}
HUGE = 10**400

#: What makes an annotation unusable.
BAD = {
    "a number": 5,
    "no segmentation": {**GOOD, "segmentation": None},
    "segmentation []": {**GOOD, "segmentation": []},
    "segmentation [[]]": {**GOOD, "segmentation": [[]]},
    "two points": {**GOOD, "segmentation": [[2, 2, 12, 12]]},
    "odd coordinates": {**GOOD, "segmentation": [[*SQUARE, 3]]},
    "NaN": {**GOOD, "segmentation": [[2, 2, float("nan"), 2, 12, 12]]},
    "Infinity": {**GOOD, "segmentation": [[2, 2, float("inf"), 2, 12, 12]]},
    "1e9": {**GOOD, "segmentation": [[2, 2, 1e9, 2, 12, 12]]},
    "-1e9": {**GOOD, "segmentation": [[-1e9, -1e9, 12, 2, 12, 12]]},
    "10^400": {**GOOD, "segmentation": [[2, 2, HUGE, 2, 12, 12]]},
    "text": {**GOOD, "segmentation": [["a", "b", "c", "d", "e", "f"]]},
    "nested": {**GOOD, "segmentation": [[[1, 2], [3, 4], [5, 6]]]},
    "objects": {**GOOD, "segmentation": [{}]},
    "no counts": {**GOOD, "segmentation": {"size": [SIDE, SIDE], "counts": ""}},
    "counts cut off": {**GOOD, "segmentation": {"size": [SIDE, SIDE], "counts": "R1:"}},
    "counts of nonsense": {**GOOD, "segmentation": {"size": [SIDE, SIDE], "counts": "zz\u00e9 "}},
    "endless number": {**GOOD, "segmentation": {"size": [SIDE, SIDE], "counts": "o" * 50 + "0"}},
    "wrong sum": {**GOOD, "segmentation": {"size": [SIDE, SIDE], "counts": [100, 100]}},
    "negative run": {**GOOD, "segmentation": {"size": [SIDE, SIDE], "counts": [-100, 500]}},
    "huge run": {**GOOD, "segmentation": {"size": [SIDE, SIDE], "counts": [HUGE]}},
    "fractions": {**GOOD, "segmentation": {"size": [SIDE, SIDE], "counts": [0.5, 399.5]}},
    "another size": {**GOOD, "segmentation": {"size": [10, 40], "counts": [300, 100]}},
    "no size": {**GOOD, "segmentation": {"counts": [300, 100]}},
    "huge size": {**GOOD, "segmentation": {"size": [10**6, 10**6], "counts": [10**12]}},
    "all zero": {**GOOD, "segmentation": {"size": [SIDE, SIDE], "counts": [400]}},
    "box of 10^400": {**GOOD, "bbox": [HUGE, 0, 1, 1]},
    "box of text": {**GOOD, "bbox": ["a", 0, 1, 1]},
    "box of three": {**GOOD, "bbox": [1, 2, 3]},
    "another image": {**GOOD, "image_id": 99},
    "image of a list": {**GOOD, "image_id": [1]},
}


def _write(folder: Path, annotations: list, **image) -> Path:
    Image.new("RGB", (SIDE, SIDE)).save(folder / "a.png")
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": SIDE, "height": SIDE, **image}],
        "annotations": annotations,
        "categories": [{"id": 1, "name": "thing"}],
    }
    path = folder / "instances.json"
    path.write_text(json.dumps(content))
    return path


@pytest.mark.parametrize("kind", BAD)
def test_an_annotation_that_is_unusable_costs_itself_and_is_named(tmp_path, kind, capfd):
    good = [{**GOOD, "id": number} for number in (7, 8)]
    path = _write(tmp_path, [BAD[kind], *good])
    (photo,) = load_all(open_dataset(path))
    assert [item.id for item in photo.record.objects] == ["7", "8"]
    said = capfd.readouterr().err
    assert "1 object left out" in said and ("annotation" in said or "object 1 of" in said)
    with pytest.raises(DataError, match=r"annotation|object 1 of"):
        open_dataset(_write(tmp_path, [BAD[kind]]))


@pytest.mark.parametrize(
    "image",
    [
        {"width": 10**6, "height": 10**6},
        {"width": float("inf")},
        {"height": HUGE},
        {"width": -SIDE},
        {"width": SIDE + 0.5},
        {"width": "20"},
        {"file_name": ""},
        {"file_name": None},
        {"file_name": 5},
        {"id": None},
    ],
)
def test_an_image_that_is_unusable_is_named(tmp_path, image):
    with pytest.raises(DataError, match=r"instances\.json"):
        open_dataset(_write(tmp_path, [GOOD], **image))


@pytest.mark.parametrize(
    "entry",
    [
        5,
        {},
        {"image": ""},
        {"image": "a.png", "width": HUGE, "height": 4, "objects": []},
        {"image": "a.png", "objects": 3},
        {"image": "a.png", "objects": [{"file": ""}]},
        {"image": "a.png", "objects": [{"file": None}, 7]},
        {"image": "a.png", "masks": ["gone.png"]},
        {"image": "a\0.png", "masks": ["x.png"]},
        {"image": "a.png", "masks": ["x" * 5000]},
        {"image": "a.png", "width": SIDE, "height": SIDE, "objects": [{"file": "a.png"}]},
    ],
)
def test_an_index_entry_that_is_unusable_is_a_sentence(tmp_path, entry):
    Image.new("RGB", (SIDE, SIDE)).save(tmp_path / "a.png")
    (tmp_path / "index.json").write_text(json.dumps([entry]))
    with pytest.raises(DataError):
        open_dataset(tmp_path)


@pytest.mark.parametrize("name", ["index.json", "instances.json"])
@pytest.mark.parametrize("text", ["[" * 100_000, '{"a":' * 100_000, "\ud800", "nul", "5", '"x"'])
def test_json_of_any_kind_is_a_sentence_that_names_the_file(tmp_path, name, text):
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.raises(DataError, match=name):
        open_dataset(tmp_path / name)


def test_polygons_of_a_million_pixels_take_no_memory(tmp_path):
    """In a process of its own, so that a crash of native code would be seen."""
    path = _write(tmp_path, [BAD[kind] for kind in ("1e9", "-1e9", "NaN", "huge size")])
    code = (
        "import resource, sys; from sqsam_deploy.datasets import open_dataset\n"
        "resource.setrlimit(resource.RLIMIT_AS, (3 << 30, 3 << 30))\n"
        f"open_dataset({str(path)!r})"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1 and "DataError" in done.stderr


def test_run_lengths_are_those_of_pycocotools():
    rng = np.random.default_rng(0)
    for _ in range(60):
        height, width = rng.integers(1, 60, 2)
        mask = rng.random((height, width)) < rng.choice([0.02, 0.5, 0.98, 0.0, 1.0])
        rle = coco_mask.encode(np.asfortranarray(mask, np.uint8))
        ours = RleMask("x", rle["counts"], int(height), int(width))
        np.testing.assert_array_equal(ours.decode().mask, mask)
        assert ours.rle()["counts"] == rle["counts"]


def test_large_run_lengths_are_those_of_pycocotools():
    mask = np.zeros((3000, 2000), np.uint8, order="F")
    mask[1000:2500, 300:1900] = 1
    rle = coco_mask.encode(mask)
    read = RleMask("x", rle["counts"], 3000, 2000).decode().mask
    assert np.array_equal(read, mask.astype(bool))


def test_crowds_are_counted_and_do_not_count_as_damage(tmp_path, capfd):
    crowd = {"size": [SIDE, SIDE], "counts": [300, 100]}
    crowds = [{**GOOD, "id": 10 + i, "iscrowd": 1, "segmentation": crowd} for i in range(5)]
    (photo,) = load_all(open_dataset(_write(tmp_path, [GOOD, *crowds])))
    assert len(photo.masks) == 1
    said = capfd.readouterr().err
    assert "5 objects left out" in said and "crowd" in said and "annotation 10" in said


@pytest.mark.parametrize("url", ["", None, 5, "x", "http://host/val2017/a.png"])
def test_a_coco_url_of_any_kind_does_not_matter_beside_a_file_name(tmp_path, url):
    assert len(open_dataset(_write(tmp_path, [GOOD], coco_url=url))) == 1


def test_one_polygon_without_a_list_around_it_is_taken(tmp_path):
    (photo,) = load_all(open_dataset(_write(tmp_path, [{**GOOD, "segmentation": SQUARE}])))
    assert photo.masks[0].sum() == 100


def test_a_polygon_that_leaves_the_photo_is_cut_at_its_edge(tmp_path):
    over = {**GOOD, "segmentation": [[10, 5, 35, 5, 35, 15, 10, 15]]}
    over |= {"bbox": [10, 5, 10, 10], "area": 100}
    (photo,) = load_all(open_dataset(_write(tmp_path, [over])))
    expected = np.zeros((SIDE, SIDE), bool)
    expected[5:15, 10:] = True
    np.testing.assert_array_equal(photo.masks[0], expected)


def test_one_damaged_photo_does_not_cost_the_others(tmp_path, capfd):
    index = []
    for number in range(4):
        pixels = np.random.default_rng(number).integers(0, 255, (SIDE, SIDE, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
        mask = np.zeros((SIDE, SIDE), np.uint8)
        mask[2:12, 2:12] = 255
        Image.fromarray(mask).save(tmp_path / f"m{number}.png")
        index.append({"image": f"{number}.png", "masks": [f"m{number}.png"]})
    (tmp_path / "index.json").write_text(json.dumps(index))
    (tmp_path / "2.png").write_bytes((tmp_path / "2.png").read_bytes()[:200])
    ids = [photo.record.id for photo in load_all(open_dataset(tmp_path))]
    assert ids == ["0", "1", "3"]
    said = capfd.readouterr().err
    assert "1 photo left out" in said and "2.png" in said
    for number in (0, 1):
        (tmp_path / f"{number}.png").write_bytes(b"")
    with pytest.raises(DataError, match="3 of 4 photos"):
        list(load_all(open_dataset(tmp_path)))


def test_training_notices_a_mask_that_changed(tmp_path):
    Image.new("RGB", (SIDE, SIDE)).save(tmp_path / "a.png")
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[2:12, 2:12] = 255
    for name in ("m", "n"):
        Image.fromarray(mask).save(tmp_path / f"{name}.png")
    entry = {"image": "a.png", "masks": ["m.png"]}
    folders = []
    for step in range(3):
        if step == 1:
            mask[2:18, 2:18] = 255
            Image.fromarray(mask).save(tmp_path / "m.png")
        if step == 2:
            entry["masks"].append("n.png")
        (tmp_path / "index.json").write_text(json.dumps([entry]))
        data = prepare(find_items(tmp_path), tmp_path / "cache", 64)
        folders.append(data.folder)
        assert data.masked_image(0).masks.sum() == [100, 256, 256 + 100][step]
    assert len(set(folders)) == 3


def test_sa1b_is_found_whatever_the_suffix_and_damage_stays_with_its_photo(tmp_path, capfd):
    rle = {"size": [SIDE, SIDE], "counts": [300, 100]}
    content = json.dumps({"annotations": [{"segmentation": rle}, {"segmentation": 3}]})
    for name in ("a.jpg", "b.JPG", "c.jpeg", "d.PNG", "e.webp", "deep/f.JPEG", "lonely.jpg"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.new("RGB", (SIDE, SIDE)).save(tmp_path / name)
        if name != "lonely.jpg":
            (tmp_path / name).with_suffix(".json").write_text(content)
    (tmp_path / "b.json").write_text("[" * 100_000)
    photos = list(load_all(open_dataset(tmp_path)))
    assert [photo.record.path.name for photo in photos] == [
        "a.jpg", "c.jpeg", "d.PNG", "f.JPEG", "e.webp",
    ]  # fmt: skip
    assert [len(photo.masks) for photo in photos] == [1] * 5
    said = capfd.readouterr().err
    assert "lonely.jpg" in said and "5 objects left out" in said and "b.json" in said
    assert len(find_items(tmp_path)) == 6
    assert find_items(tmp_path)[0].read(SkipList()).masks.sum() == 100


def test_the_bundled_photos_can_be_trained_on():
    from sqsam_deploy.datasets import bundled

    folder = Path(bundled.__file__).parent / "calibration"
    items = find_items(folder)
    photo = items[0].read(SkipList())
    assert len(items) == 32 and photo is not None and photo.masks.any(axis=(1, 2)).all()


def test_a_photo_in_place_of_a_data_set_is_named(tmp_path: Path) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "cat.jpg")
    with pytest.raises(DataError, match=r"cat\.jpg is one photo"):
        open_dataset(tmp_path / "cat.jpg")

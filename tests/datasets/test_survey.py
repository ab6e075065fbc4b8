"""Decisions for a whole data set: boxes in another convention, photos turned by EXIF."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sqsam_deploy.datasets import load_all, load_image, open_dataset
from sqsam_deploy.errors import DataError

WIDTH, HEIGHT = 90, 60
RECTANGLES = [(5, 4, 30, 20), (40, 10, 80, 50), (60, 30, 85, 55), (0, 0, 22, 41), (33, 2, 51, 58)]


def _coco(folder: Path, boxes: list, *, photo: str = "a.png", **stated) -> Path:
    Image.new("RGB", (WIDTH, HEIGHT)).save(folder / photo)
    annotations = [
        {
            "id": number,
            "image_id": 1,
            "category_id": 1,
            "area": (x1 - x0) * (y1 - y0),
            "bbox": box,
            "segmentation": [[x0, y0, x1, y0, x1, y1, x0, y1]],
            **stated,
        }
        for number, ((x0, y0, x1, y1), box) in enumerate(zip(RECTANGLES, boxes, strict=True))
    ]
    images = [{"id": 1, "file_name": photo, "width": WIDTH, "height": HEIGHT}]
    return _write(folder, images, annotations)


def _write(folder: Path, images: list, annotations: list) -> Path:
    thing = {"id": 1, "name": "thing"}
    content = {"images": images, "annotations": annotations, "categories": [thing]}
    path = folder / "instances.json"
    path.write_text(json.dumps(content))
    return path


CONVENTIONS = {
    "xywh": lambda x0, y0, x1, y1: [x0, y0, x1 - x0, y1 - y0],
    "xyxy": lambda x0, y0, x1, y1: [x0, y0, x1, y1],
    "cxcywh": lambda x0, y0, x1, y1: [(x0 + x1) / 2, (y0 + y1) / 2, x1 - x0, y1 - y0],
}


@pytest.mark.parametrize("kind", CONVENTIONS)
@pytest.mark.parametrize("scale", [(1, 1), (WIDTH, HEIGHT)])
def test_boxes_of_every_convention_become_those_of_the_masks(tmp_path, kind, scale, capfd):
    written = [CONVENTIONS[kind](*box) for box in RECTANGLES]
    written = [[value / scale[i % 2] for i, value in enumerate(box)] for box in written]
    (photo,) = load_all(open_dataset(_coco(tmp_path, written)))
    read = [item.box for item in photo.record.objects]
    np.testing.assert_allclose(read, RECTANGLES, atol=1e-6)
    assert (kind in capfd.readouterr().err) == (kind != "xywh" or scale != (1, 1))


def test_boxes_of_an_index_in_another_convention(tmp_path):
    Image.new("RGB", (WIDTH, HEIGHT)).save(tmp_path / "a.png")
    objects = []
    for number, (x0, y0, x1, y1) in enumerate(RECTANGLES):
        mask = np.zeros((HEIGHT, WIDTH), np.uint8)
        mask[y0:y1, x0:x1] = 255
        Image.fromarray(mask).save(tmp_path / f"{number}.png")
        stated = {"bbox_xyxy": [x0, y0, x1 - x0, y1 - y0], "area_frac": float(mask.mean() / 255)}
        objects.append({"file": f"{number}.png", **stated})
    entry = {"image": "a.png", "width": WIDTH, "height": HEIGHT, "objects": objects}
    (tmp_path / "index.json").write_text(json.dumps([entry]))
    (photo,) = load_all(open_dataset(tmp_path))
    np.testing.assert_allclose([item.box for item in photo.record.objects], RECTANGLES)


def test_boxes_that_fit_no_convention_are_refused(tmp_path):
    shifted = [[x1 % 60 + 20, 1, 8, 8] for _, _, x1, _ in RECTANGLES]
    with pytest.raises(DataError, match="contradicts the stated box"):
        open_dataset(_coco(tmp_path, shifted))


def _turned(folder: Path, orientations: list[int], *, upright: bool) -> Path:
    """Photos with EXIF orientation, and their sizes as somebody annotated them."""
    images, annotations = [], []
    for number, orientation in enumerate(orientations):
        exif = Image.Exif()
        exif[0x0112] = orientation
        pixels = np.zeros((40, 60, 3), np.uint8)
        pixels[:, :30, 0] = 255  # the left half of what is stored is red
        Image.fromarray(pixels).save(folder / f"{number}.png", exif=exif)
        sides = (40, 60) if upright and orientation >= 5 else (60, 40)
        name = {"id": number, "file_name": f"{number}.png"}
        images.append({**name, "width": sides[0], "height": sides[1]})
        box = {"area": 100, "bbox": [5, 5, 10, 10], "segmentation": [[5, 5, 15, 5, 15, 15, 5, 15]]}
        annotations.append({"id": number, "image_id": number, "category_id": 1, **box})
    return _write(folder, images, annotations)


def test_upside_down_photos_are_read_as_the_portrait_ones_tell(tmp_path, capfd):
    stored = open_dataset(_turned(tmp_path, [3, 6, 8, 3], upright=False))
    images = list(load_all(stored))
    assert all((photo.image[:, :30, 0] == 255).all() for photo in images)
    said = capfd.readouterr().err
    assert "2 photos" in said and "stored" in said


def test_without_telling_photos_upside_down_ones_are_turned_and_counted(tmp_path, capfd):
    dataset = open_dataset(_turned(tmp_path, [3, 3, 1], upright=True))
    assert [int(load_image(record)[0, 0, 0]) for record in dataset] == [0, 0, 255]
    list(load_all(dataset))
    assert "2 photos" in capfd.readouterr().err


def test_an_upright_data_set_stays_upright(tmp_path):
    dataset = open_dataset(_turned(tmp_path, [3, 6, 8], upright=True))
    shapes = [photo.image.shape[:2] for photo in load_all(dataset)]
    assert shapes == [(40, 60), (60, 40), (60, 40)]


@pytest.mark.parametrize("area", [0, -(2**31), None, 1e12, "5", float("nan")])
def test_an_area_that_cannot_be_is_measured_and_counted(tmp_path, area, capfd):
    boxes = [CONVENTIONS["xywh"](*box) for box in RECTANGLES]
    (photo,) = load_all(open_dataset(_coco(tmp_path, boxes, area=area)))
    areas = [item.area for item in photo.record.objects]
    assert areas == [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in RECTANGLES]
    assert "5 objects" in capfd.readouterr().err


def test_areas_of_the_boxes_are_told_from_those_of_masks(tmp_path, capfd):
    path = _coco(tmp_path, [CONVENTIONS["xywh"](*box) for box in RECTANGLES])
    content = json.loads(path.read_text())
    for entry in content["annotations"]:  # each rectangle becomes its lower left half
        del entry["segmentation"][0][4:6]
        entry["segmentation"][0][2:4] = entry["segmentation"][0][-2:]
        entry["segmentation"][0] = [*entry["segmentation"][0][:2], *_corners(entry["bbox"])]
    path.write_text(json.dumps(content))
    (photo,) = load_all(open_dataset(path))
    areas = [item.area for item in photo.record.objects]
    assert areas == [mask.sum() for mask in photo.masks]
    assert "area" in capfd.readouterr().err


def _corners(box: list) -> list:
    x, y, width, height = box
    return [x, y + height, x + width, y + height]


def test_a_missing_box_is_the_mask_s(tmp_path):
    (photo,) = load_all(open_dataset(_coco(tmp_path, RECTANGLES, bbox=None)))
    np.testing.assert_array_equal([item.box for item in photo.record.objects], RECTANGLES)


def test_areas_that_contradict_every_mask_are_refused(tmp_path):
    boxes = [CONVENTIONS["xywh"](*box) for box in RECTANGLES]
    with pytest.raises(DataError, match=r"4 of 4 objects.*area"):
        open_dataset(_coco(tmp_path, boxes, area=5000))

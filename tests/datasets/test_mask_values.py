"""Masks whose values do not mean what is usual are read right, or refused: never taken wrongly."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sqsam_deploy.datasets import load_all, open_dataset
from sqsam_deploy.errors import DataError
from sqsam_deploy.training.readers import SkipList, find_items

HEIGHT, WIDTH = 60, 80


def _truths() -> list[np.ndarray]:
    y, x = np.ogrid[:HEIGHT, :WIDTH]
    disc = (x - 24) ** 2 + (y - 30) ** 2 < 15**2
    bar = np.zeros((HEIGHT, WIDTH), bool)
    bar[8:20, 45:75] = True
    speck = np.zeros((HEIGHT, WIDTH), bool)
    speck[50:54, 60:66] = True
    return [disc, bar, speck]


def _stated(mask: np.ndarray) -> dict:
    rows, columns = np.nonzero(mask)
    box = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
    return {"area_frac": float(mask.mean()), "bbox_xyxy": [int(edge) for edge in box]}


def _gray(values: np.ndarray) -> Image.Image:
    return Image.fromarray(np.asarray(values, np.uint8))


def _alpha_of(mask: np.ndarray, colors: np.ndarray) -> Image.Image:
    return Image.fromarray(np.dstack([colors, np.where(mask, 255, 0).astype(np.uint8)]))


def _palette(mask: np.ndarray, colors: list[int]) -> Image.Image:
    image = Image.fromarray(mask.astype(np.uint8), "P")
    image.putpalette(colors)
    return image


NOISE = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
WHITE, BLACK = np.full_like(NOISE, 255), np.zeros_like(NOISE)

#: How people write masks, where the values alone say what they mean.
CLEAR = {
    "0 and 255": lambda m: _gray(m * 255),
    "0 and 1": lambda m: _gray(m),
    "0 and 38": lambda m: _gray(m * 38),
    "one bit": lambda m: Image.fromarray(m),
    "16 bit, 0 and 65535": lambda m: Image.fromarray(m.astype(np.uint16) * 65535),
    "16 bit, 0 and 1": lambda m: Image.fromarray(m.astype(np.uint16)),
    "alpha of white": lambda m: _alpha_of(m, WHITE),
    "alpha of black": lambda m: _alpha_of(m, BLACK),
    "alpha of a cut-out photo": lambda m: _alpha_of(m, NOISE),
    "white on transparent": lambda m: _alpha_of(m, np.where(m[..., None], WHITE, BLACK)),
    "opaque RGBA": lambda m: Image.merge("RGBA", [_gray(m * 255)] * 3 + [_gray(m * 0 + 255)]),
    "red on black": lambda m: Image.fromarray(np.where(m[..., None], [255, 0, 0], 0).astype("u1")),
    "palette of labels": lambda m: _palette(m, [0, 0, 0, 128, 0, 0]),
    "palette of black and white": lambda m: _palette(~m, [255, 255, 255, 0, 0, 0]),
}
#: Others, which need the stated area and box.
STATED = {
    "inverted": lambda m: _gray(~m * 255),
    "inverted 0 and 1": lambda m: _gray(~m),
    "1 and 2": lambda m: _gray(m + 1),
    "alpha inverted": lambda m: _alpha_of(~m, WHITE),
}


def _write(folder: Path, images: list[Image.Image], *, stated: bool, suffix: str = "png") -> Path:
    folder.mkdir(exist_ok=True)
    Image.fromarray(NOISE).save(folder / "a.png")
    objects = []
    for number, (image, truth) in enumerate(zip(images, _truths(), strict=True)):
        name = f"a__{number}.{suffix}"
        image.save(folder / name, **({"quality": 90} if suffix == "jpg" else {}))
        objects.append({"file": name, **_stated(truth)} if stated else name)
    entry = {"id": "a", "image": "a.png", ("objects" if stated else "masks"): objects}
    (folder / "index.json").write_text(json.dumps([entry]))
    return folder


@pytest.mark.parametrize("kind", CLEAR)
@pytest.mark.parametrize("stated", [True, False])
def test_masks_are_read_as_their_values_say(tmp_path, kind, stated):
    folder = _write(tmp_path, [CLEAR[kind](mask) for mask in _truths()], stated=stated)
    (photo,) = load_all(open_dataset(folder))
    np.testing.assert_array_equal(photo.masks, _truths())
    assert [item.area for item in photo.record.objects] == [mask.sum() for mask in _truths()]
    trained = find_items(folder)[0].read(SkipList())
    np.testing.assert_array_equal(trained.masks, _truths())


@pytest.mark.parametrize("kind", STATED)
def test_masks_are_read_as_the_stated_area_and_box_say(tmp_path, kind):
    images = [STATED[kind](mask) for mask in _truths()]
    (photo,) = load_all(open_dataset(_write(tmp_path / "stated", images, stated=True)))
    np.testing.assert_array_equal(photo.masks, _truths())
    with pytest.raises(DataError):
        open_dataset(_write(tmp_path / "not", images, stated=False))


def test_an_inverted_mask_of_half_the_photo_is_read_as_stated(tmp_path):
    """Its complement has almost the same area, and a box that covers half of the stated one."""
    truth = np.zeros((HEIGHT, WIDTH), bool)
    truth[3:-3, 8 : 8 + WIDTH // 2] = True
    Image.fromarray(NOISE).save(tmp_path / "a.png")
    for name, mask in (("a__0.png", truth), ("a__1.png", ~truth)):
        _gray(~mask * 255).save(tmp_path / name)
    objects = [{"file": "a__0.png", **_stated(truth)}, {"file": "a__1.png", **_stated(~truth)}]
    entry = {"id": "a", "image": "a.png", "objects": objects}
    (tmp_path / "index.json").write_text(json.dumps([entry]))
    (photo,) = load_all(open_dataset(tmp_path))
    np.testing.assert_array_equal(photo.masks, [truth, ~truth])


def test_one_file_of_instance_numbers_serves_every_object(tmp_path):
    truths = _truths()
    numbers = _gray(sum(mask * (index + 1) for index, mask in enumerate(truths)))
    _write(tmp_path, [numbers] * 3, stated=True)
    index = json.loads((tmp_path / "index.json").read_text())
    for item in index[0]["objects"]:
        item["file"] = "a__0.png"
    (tmp_path / "index.json").write_text(json.dumps(index))
    (photo,) = load_all(open_dataset(tmp_path))
    np.testing.assert_array_equal(photo.masks, truths)
    index[0]["masks"] = ["a__0.png"]
    del index[0]["objects"]
    (tmp_path / "index.json").write_text(json.dumps(index))
    with pytest.raises(DataError, match="instance numbers"):
        open_dataset(tmp_path)


def test_labels_in_steps_of_fifty_are_no_mask(tmp_path):
    levels = _gray(sum(mask * value for mask, value in zip(_truths(), (250, 100, 50), strict=True)))
    with pytest.raises(DataError, match="instance numbers"):
        open_dataset(_write(tmp_path, [levels] * 3, stated=False))


def test_the_noise_of_jpeg_does_not_matter(tmp_path):
    images = [_gray(mask * 255) for mask in _truths()]
    (photo,) = load_all(open_dataset(_write(tmp_path, images, stated=True, suffix="jpg")))
    for read, truth in zip(photo.masks, _truths(), strict=True):
        assert (read != truth).sum() <= 0.05 * truth.sum() + 4


def test_how_masks_were_read_is_told_once_with_an_example(tmp_path, capfd):
    list(load_all(open_dataset(_write(tmp_path, [_gray(m) for m in _truths()], stated=True))))
    said = capfd.readouterr().err
    assert said.count("\n") == 1
    assert "3 objects" in said and "0 and 1" in said and "a__0" in said


def test_masks_that_contradict_what_is_stated_are_counted_and_most_are_refused(tmp_path, capfd):
    disc, bar, speck = _truths()
    mixed = _write(tmp_path / "one", [_gray(m * 255) for m in (bar, bar, speck)], stated=True)
    (photo,) = load_all(open_dataset(mixed))
    assert [item.id for item in photo.record.objects] == ["a__1", "a__2"]
    assert "1 object left out" in capfd.readouterr().err
    swapped = _write(tmp_path / "most", [_gray(m * 255) for m in (bar, disc, speck)], stated=True)
    with pytest.raises(DataError, match="2 of 3 objects"):
        open_dataset(swapped)

import json

import numpy as np
import pytest
from PIL import Image

from sqsam_deploy.errors import DataError
from sqsam_deploy.evaluation.saliency_sets import open_saliency_set, score_saliency
from tests.commands import run_command

#: Folders of photos and masks as they come, and how photos are stored.
FOLDERS = {
    "ECSSD": ("images", "ground_truth_mask"),
    "DUTS-TE": ("DUTS-TE-Image", "DUTS-TE-Mask"),
    "DUT-OMRON": ("DUT-OMRON-image", "pixelwiseGT-new-PNG"),
    "PASCAL-S": ("imgs/pascal", "masks/pascal"),
    "SOD": (".", "."),
}


def _truth(number: int) -> np.ndarray:
    truth = np.zeros((40, 60), bool)
    truth[5 : 15 + 5 * number, 10:40] = True
    return truth


def _write(folder, photos: str, masks: str, ending: str = "jpg"):
    for number in range(3):
        pixels = np.full((40, 60, 3), 60, np.uint8)
        pixels[_truth(number)] = (200, 40, 40)
        for below, name, picture in (
            (photos, f"p{number}.{ending}", pixels),
            (masks, f"p{number}.png", _truth(number).astype(np.uint8) * 255),
        ):
            path = folder / below / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(path)
    return folder


@pytest.mark.parametrize("name", FOLDERS)
def test_photos_find_their_masks_in_the_folders_of_every_set(tmp_path, name):
    data = open_saliency_set(_write(tmp_path / name, *FOLDERS[name]))
    photos = list(data.photos())
    assert (data.name, data.size) == (name, 3)
    assert [photo.path.name for photo in photos] == ["p0.jpg", "p1.jpg", "p2.jpg"]
    assert all(np.array_equal(photo.truth, _truth(i)) for i, photo in enumerate(photos))


def test_masks_of_png_photos_are_named(tmp_path):
    folder = _write(tmp_path, "imgs", "gt", ending="png")
    with pytest.raises(DataError, match="--masks"):
        open_saliency_set(folder)
    photos = list(open_saliency_set(folder, folder / "gt").photos())
    assert [photo.path.parent.name for photo in photos] == ["imgs"] * 3
    assert all(np.array_equal(photo.truth, _truth(i)) for i, photo in enumerate(photos))


def test_a_mask_of_another_size_is_refused(tmp_path):
    folder = _write(tmp_path, "imgs", "gt")
    Image.new("L", (10, 10)).save(folder / "gt" / "p1.png")
    with pytest.raises(DataError, match=r"p1\.png"):
        list(open_saliency_set(folder).photos())


def test_maps_of_any_method_are_scored(tmp_path):
    folder, maps = _write(tmp_path / "set", "imgs", "gt"), tmp_path / "maps"
    maps.mkdir()
    for number in range(3):
        half = _truth(number).astype(np.uint8)[::2, ::2] * 255
        Image.fromarray(half).save(maps / f"p{number}.png")
    exact, smaller = score_saliency(open_saliency_set(folder), (folder / "gt", maps))
    assert (exact.images, exact.mae, exact.max_f) == (3, 0, pytest.approx(1))
    assert 0 < smaller.mae < 0.05
    assert 0.9 < smaller.max_f < 1


def test_the_command_prints_a_row_for_each_source(tmp_path):
    folder = _write(tmp_path / "set", "imgs", "gt")
    sources = ("--saliency", "set/gt", "--saliency", "saliency")
    done = run_command("parity", "saliency", folder, "--count", 2, *sources, cwd=tmp_path)
    assert done.code == 0
    rows = {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines() if line}
    assert rows["set/gt"][:3] == ["0.000", "1.000", "1.000"]
    assert 0 < float(rows["saliency"][0]) < 0.6
    document = run_command("parity", "saliency", folder, "--json", "--quiet", cwd=tmp_path).stdout
    (score,) = json.loads(document)["result"]["scores"]
    assert (score["maps"], score["images"]) == ("saliency", 3)
    assert 0 < score["mae"] < 0.6

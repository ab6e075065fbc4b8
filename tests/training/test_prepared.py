import json
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sqsam_deploy.errors import DataError
from sqsam_deploy.training.prepared import PreparedData, prepare
from sqsam_deploy.training.readers import Item, SkipList, find_items
from sqsam_deploy.training.splits import split


def test_photos_and_masks_come_back_as_they_were_read(photo_folder: Path, tmp_path: Path) -> None:
    items = find_items(photo_folder)
    data = prepare(items, tmp_path, max_side=640)
    assert len(data) == len(items) == 12
    for number, item in enumerate(items):
        photo = item.read(SkipList())
        assert photo is not None
        stored = data.masked_image(number)
        np.testing.assert_array_equal(stored.image, photo.image)
        np.testing.assert_array_equal(stored.masks, photo.masks)
        assert (stored.id, stored.group) == (photo.id, photo.group)


def test_large_photos_shrink_and_keep_their_objects_areas(
    photo_folder: Path, tmp_path: Path
) -> None:
    items = find_items(photo_folder)
    data = prepare(items, tmp_path, max_side=320)
    for number, item in enumerate(items):
        photo = item.read(SkipList())
        assert photo is not None
        stored = data.masked_image(number)
        assert max(stored.image.shape) == 320
        expected = photo.masks.mean(axis=(1, 2))
        np.testing.assert_allclose(stored.masks.mean(axis=(1, 2)), expected, rtol=0.06)


def test_second_call_opens_the_same_folder(photo_folder: Path, tmp_path: Path) -> None:
    first = prepare(find_items(photo_folder), tmp_path, 320)
    stamp = (first.folder / "pixels.bin").stat().st_mtime_ns
    second = prepare(find_items(photo_folder), tmp_path, 320)
    assert second.folder == first.folder
    assert (second.folder / "pixels.bin").stat().st_mtime_ns == stamp
    assert prepare(find_items(photo_folder), tmp_path, 300).folder != first.folder


def test_changed_photo_is_prepared_again(photo_folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(photo_folder, tmp_path / "photos")
    before = prepare(find_items(copy), tmp_path / "cache", 320)
    image = copy / json.loads((copy / "index.json").read_text())[0]["image"]
    size = Image.open(image).size
    Image.new("RGB", size, "red").save(image)
    after = prepare(find_items(copy), tmp_path / "cache", 320)
    assert after.folder != before.folder
    assert after.image(0)[..., 0].mean() > 250


def test_skipped_objects_are_counted_and_listed(photo_folder: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(photo_folder, tmp_path / "photos")
    masks = json.loads((copy / "index.json").read_text())[0]["masks"]
    (copy / masks[0]).unlink()
    data = prepare(find_items(copy), tmp_path / "cache", 320)
    listed = (data.folder / "skipped.txt").read_text()
    assert data.skipped == len(listed.splitlines()) >= 1
    assert masks[0] in listed


def test_folder_with_nothing_usable_is_an_error_and_leaves_nothing(
    photo_folder: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(photo_folder, tmp_path / "photos")
    for image in copy.glob("*.jpg"):
        image.write_bytes(b"")
    with pytest.raises(DataError, match="no usable image"):
        prepare(find_items(copy), tmp_path / "cache", 320)
    assert not list((tmp_path / "cache").iterdir())


def test_cut_off_files_are_noticed(photo_folder: Path, tmp_path: Path) -> None:
    folder = prepare(find_items(photo_folder), tmp_path, 320).folder
    pixels = folder / "pixels.bin"
    pixels.write_bytes(pixels.read_bytes()[:-1])
    with pytest.raises(DataError, match="cut off"):
        PreparedData(folder)


def test_groups_stay_on_one_side_of_the_split(photo_folder: Path, tmp_path: Path) -> None:
    data = prepare(find_items(photo_folder), tmp_path, 320)
    training, validation = split(data.images, range(len(data)), 0.3)
    assert sorted(training + validation) == list(range(len(data)))
    groups = [{data.images[n].group for n in side} for side in (training, validation)]
    assert training and validation and not groups[0] & groups[1]


def test_split_does_not_change_when_photos_are_added(photo_folder: Path, tmp_path: Path) -> None:
    images = prepare(find_items(photo_folder), tmp_path, 320).images
    _, few = split(images, range(8), 0.4)
    _, all_of_them = split(images, range(12), 0.4)
    assert few == [number for number in all_of_them if number < 8]


def test_one_group_cannot_be_split(photo_folder: Path, tmp_path: Path) -> None:
    images = prepare(find_items(photo_folder), tmp_path, 320).images
    with pytest.raises(DataError, match="cannot be split"):
        split(images[:1], [0], 0.1)


def test_workers_open_the_files_instead_of_copying_them(photo_folder: Path, tmp_path: Path) -> None:
    data = prepare(find_items(photo_folder), tmp_path, 320)
    content = pickle.dumps(data)
    assert len(content) < 1000
    np.testing.assert_array_equal(pickle.loads(content).image(3), data.image(3))


def test_two_runs_may_prepare_the_same_photos_at_once(photo_folder: Path, tmp_path: Path) -> None:
    def overtaken(listed: list[Item]) -> Iterator[Item]:
        yield from listed
        # The other run is a process of its own, with a folder of its own name.
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("os.getpid", lambda: 1)
            prepare(items, tmp_path, 64)

    items = find_items(photo_folder)
    data = prepare(items, tmp_path, 64, overtaken)
    assert len(data) == len(items)
    assert [path.name for path in tmp_path.iterdir()] == [data.folder.name]

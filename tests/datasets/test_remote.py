"""A COCO file and its photos in a store: the same as on this machine."""

import json
from pathlib import Path

import fsspec
import numpy as np
import pytest

from sqsam_deploy.datasets import bundled_dataset, load_annotated, load_image, open_dataset
from sqsam_deploy.errors import DataError


@pytest.fixture
def stored(tmp_path):
    """A photo with one object, on this machine and in a store."""
    record = bundled_dataset("sample").images[0]
    corners = [10, 10, 110, 10, 110, 60, 10, 60]
    content = {
        "images": [{"id": 7, "file_name": "a.jpg", "width": record.width, "height": record.height}],
        "annotations": [
            {"id": 1, "image_id": 7, "category_id": 1, "segmentation": [corners], "area": 5000}
            | {"bbox": [10, 10, 100, 50]}
        ],
        "categories": [{"id": 1, "name": "thing"}],
    }
    store = fsspec.filesystem("memory")
    store.store.clear()
    for name, data in (
        ("annotations/x.json", json.dumps(content).encode()),
        ("images/a.jpg", record.path.read_bytes()),
    ):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(data)
        store.pipe_file(f"/{tmp_path.name}/{name}", data)
    return tmp_path, f"memory://{tmp_path.name}"


def test_a_file_in_a_store_is_read_as_one_of_this_machine(stored):
    folder, url = stored
    local = open_dataset(folder / "annotations" / "x.json")
    for remote in (
        open_dataset(Path(f"{url}/annotations/x.json")),
        open_dataset(Path(f"{url}/annotations/x.json"), Path(f"{url}/images")),
        open_dataset(folder / "annotations" / "x.json", Path(f"{url}/images")),
    ):
        near, far = load_annotated(local.images[0]), load_annotated(remote.images[0])
        np.testing.assert_array_equal(near.image, far.image)
        np.testing.assert_array_equal(near.masks[0], far.masks[0])


def test_what_the_store_does_not_have_is_named(stored):
    folder, url = stored
    with pytest.raises(DataError, match=r"none\.json does not exist"):
        open_dataset(Path(f"{url}/annotations/none.json"))
    record = open_dataset(folder / "annotations" / "x.json", Path(f"{url}/images")).images[0]
    fsspec.filesystem("memory").rm(f"/{folder.name}/images/a.jpg")
    with pytest.raises(DataError, match=f"{url}/images/a.jpg"):
        load_image(record)

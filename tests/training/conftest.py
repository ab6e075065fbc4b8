import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from sqsam_deploy.datasets import bundled_dataset


@pytest.fixture(scope="session")
def train_index(shared: Path) -> list[dict[str, Any]]:
    """Entries of the training photos' index, COCO's first."""
    entries = json.loads((shared / "data/train/index.json").read_text())
    return sorted(entries, key=lambda entry: (not entry["id"].startswith("coco"), entry["id"]))


@pytest.fixture(scope="session")
def photo_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The twelve bundled photos without small objects, four of them as of another dataset."""
    source = next(iter(bundled_dataset("sample"))).path.parent
    photos = json.loads((source / "index.json").read_text())
    smallest = {e["id"]: min(item["area_frac"] for item in e["objects"]) for e in photos}
    entries = sorted(photos, key=lambda entry: -smallest[entry["id"]])[:12]
    for index, entry in enumerate(entries):
        entry["dataset"] = "COCO-2017 instances" if index < 8 else "ECSSD"
        entry["masks"] = [item["file"] for item in entry["objects"]]
    folder = tmp_path_factory.mktemp("photos")
    write_folder(folder, source, entries)
    return folder


def write_folder(folder: Path, source: Path, entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        for name in [entry["image"], *entry["masks"]]:
            shutil.copyfile(source / name, folder / name)
    (folder / "index.json").write_text(json.dumps(entries))


#: Pixels of a side of the made photos.
SIDE = 64


def write_coco(folder: Path) -> Path:
    """A COCO file: two photos, in each a polygon, uncompressed run lengths, and a crowd."""
    images = [
        {"id": number, "file_name": f"{number}.jpg", "width": SIDE, "height": SIDE}
        for number in (7, 8)
    ]
    annotations = []
    for image in images:
        pixels = np.random.default_rng(image["id"]).integers(0, 256, (SIDE, SIDE, 3), np.uint8)
        Image.fromarray(pixels).save(folder / image["file_name"])
        # A square of 16 pixels from (8, 8); and one from (24, 20), column by column.
        square = [[8, 8, 24, 8, 24, 24, 8, 24]]
        runs = [24 * SIDE + 20, *[16, SIDE - 16] * 15, 16, 28 + 24 * SIDE]
        counts = {"size": [SIDE, SIDE], "counts": runs}
        for segmentation, box, crowd in (
            (square, [8, 8, 16, 16], 0),
            (counts, [24, 20, 16, 16], 0),
            (counts, [24, 20, 16, 16], 1),
        ):
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": image["id"],
                    "category_id": 1,
                    "segmentation": segmentation,
                    "bbox": box,
                    "area": 256,
                    "iscrowd": crowd,
                }
            )
    path = folder / "instances.json"
    categories = [{"id": 1, "name": "square"}]
    path.write_text(
        json.dumps({"images": images, "annotations": annotations, "categories": categories})
    )
    return path


def write_lvis(folder: Path) -> Path:
    """The same as an LVIS file: no `file_name`, no crowds, and what was searched for."""
    content = json.loads(write_coco(folder).read_text())
    for image in content["images"]:
        name = image.pop("file_name")
        image["coco_url"] = f"http://images.cocodataset.org/train2017/{name}"
        image |= {"neg_category_ids": [2], "not_exhaustive_category_ids": []}
    content["annotations"] = [
        {key: value for key, value in entry.items() if key != "iscrowd"}
        for entry in content["annotations"]
        if not entry["iscrowd"]
    ]
    content["categories"].append({"id": 2, "name": "circle", "frequency": "r"})
    path = folder / "lvis.json"
    path.write_text(json.dumps(content))
    return path

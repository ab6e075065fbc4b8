import json
import shutil
from pathlib import Path
from typing import Any

import pytest

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

import json
import shutil
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture(scope="session")
def train_index(shared: Path) -> list[dict[str, Any]]:
    """Entries of the training photos' index, COCO's first."""
    entries = json.loads((shared / "data/train/index.json").read_text())
    return sorted(entries, key=lambda entry: (not entry["id"].startswith("coco"), entry["id"]))


@pytest.fixture(scope="session")
def photo_folder(
    shared: Path, train_index: list[dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Eight COCO photos and four of ECSSD in this project's layout."""
    coco = [entry for entry in train_index if entry["dataset"].startswith("COCO")][:8]
    ecssd = [entry for entry in train_index if entry["dataset"] == "ECSSD"][:4]
    folder = tmp_path_factory.mktemp("photos")
    write_folder(folder, shared / "data/train", coco + ecssd)
    return folder


def write_folder(folder: Path, source: Path, entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        for name in [entry["image"], *entry["masks"]]:
            shutil.copyfile(source / name, folder / name)
    (folder / "index.json").write_text(json.dumps(entries))

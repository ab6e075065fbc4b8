"""One function that opens any of the formats."""

from collections import Counter
from pathlib import Path

from sqsam_deploy.datasets.coco import open_coco
from sqsam_deploy.datasets.folder import INDEX_NAME, open_folder
from sqsam_deploy.datasets.records import Dataset
from sqsam_deploy.errors import DataError


def open_dataset(path: Path, images: Path | None = None) -> Dataset:
    """Opens a COCO or LVIS JSON file, or a folder with an `index.json`.

    No image and no mask is decoded.

    Args:
        path: `instances_val2017.json`, `lvis_v1_val.json`, a folder, or a folder's `index.json`.
        images: Directory of the photos of a COCO or LVIS file; found beside the file when None.

    Raises:
        DataError: Nothing there, or not in one of these formats.
    """
    path = Path(path)
    if path.is_dir():
        return _checked(open_folder(path / INDEX_NAME, path.resolve().name))
    if not path.is_file():
        raise DataError(f"dataset {path} does not exist")
    if path.name == INDEX_NAME:
        return _checked(open_folder(path, path.resolve().parent.name))
    return _checked(open_coco(path, images, path.stem))


def _checked(dataset: Dataset) -> Dataset:
    if not dataset.object_count:
        raise DataError(f"dataset '{dataset.name}' has no objects")
    for what, ids in (
        ("image", Counter(record.id for record in dataset)),
        ("object", Counter(item.id for record in dataset for item in record.objects)),
    ):
        identifier, count = ids.most_common(1)[0]
        if count > 1:
            raise DataError(f"dataset '{dataset.name}' has {count} {what}s of id '{identifier}'")
    return dataset

"""One function that opens any of the formats."""

import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

from sqsam_deploy.datasets.annotated import with_measures
from sqsam_deploy.datasets.coco import open_coco
from sqsam_deploy.datasets.fields import is_file
from sqsam_deploy.datasets.folder import INDEX_NAME, open_folder
from sqsam_deploy.datasets.images import SUFFIXES, stored_size
from sqsam_deploy.datasets.problems import Tally
from sqsam_deploy.datasets.records import Dataset, ImageRecord
from sqsam_deploy.datasets.sa1b import open_sa1b
from sqsam_deploy.datasets.survey import surveyed
from sqsam_deploy.errors import DataError


def open_dataset(
    path: str | os.PathLike[str], images: str | os.PathLike[str] | None = None
) -> Dataset:
    """Opens a COCO or LVIS JSON file, a folder with an `index.json`, or one in SA-1B's format.

    A few masks are decoded to see what they mean (`datasets.survey`), and those of objects without
    a stated area or box.

    Args:
        path: `instances_val2017.json`, `lvis_v1_val.json`, a folder, or a folder's `index.json`; a
            JSON file, and the photos' directory, may be URLs that fsspec knows.
        images: Directory of the photos of a COCO or LVIS file; found beside the file when None.

    Raises:
        DataError: Nothing there, not in one of these formats, without any object, or most of its
            objects cannot be used.
    """
    read, boxes = _read(Path(path), None if images is None else Path(images))
    if isinstance(read.images, tuple):
        _require_distinct(read)
    dataset = surveyed(read, boxes)
    if isinstance(dataset.images, tuple):
        dataset = replace(dataset, images=tuple(with_measures(dataset.images)))
        if not dataset.object_count:
            raise DataError(f"dataset '{dataset.name}' has no objects{_reasons(dataset)}")
    return dataset


def open_photos(path: str | os.PathLike[str]) -> Dataset:
    """Opens photos with or without masks: what `open_dataset` opens, or a folder of photos.

    Photos lie at any depth of the folder. Those that cannot be read show when they are loaded.

    Raises:
        DataError: As `open_dataset`, or the folder holds no photo.
    """
    folder = Path(path)
    is_dataset = not folder.is_dir() or (folder / INDEX_NAME).is_file()
    if is_dataset or open_sa1b(folder, folder.name) is not None:
        return open_dataset(folder)
    records = tuple(_photo_record(photo, folder) for photo in photo_files(folder))
    if not records:
        raise DataError(f"{folder} holds no photo ({', '.join(sorted(SUFFIXES))})")
    return Dataset(folder.resolve().name, records)


def photo_files(folder: Path) -> list[Path]:
    """The photos in a folder, at any depth, sorted; hidden files and folders are left out."""
    found = (path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    shown = (p for p in found if not any(s.startswith(".") for s in p.relative_to(folder).parts))
    return sorted(path for path in shown if path.is_file())


def _photo_record(photo: Path, folder: Path) -> ImageRecord:
    try:
        (width, height), orientation = stored_size(photo)
    except DataError:
        # Loading it will say so.
        width, height, orientation = 1, 1, 1
    sides = (height, width) if orientation >= 5 else (width, height)
    name = photo.relative_to(folder).as_posix()
    return ImageRecord(name, photo, *sides, (), folder.resolve().name, name)


def read_dataset(path: str | os.PathLike[str]) -> Dataset:
    """As `open_dataset`, for training: areas and boxes that are not stated stay NaN.

    Photos may be without objects, and ids may repeat.

    Raises:
        DataError: As `open_dataset`.
    """
    return surveyed(*_read(Path(path), None))


def _read(path: Path, images: Path | None) -> tuple[Dataset, str]:
    """The records, and how their format writes boxes."""
    if path.is_dir():
        return _read_directory(path)
    if not is_file(path):
        raise DataError(f"dataset {path} does not exist")
    if path.suffix.lower() in SUFFIXES:
        raise DataError(f"{path} is one photo: name its folder, or a COCO or LVIS file")
    if path.name == INDEX_NAME:
        return open_folder(path, path.resolve().parent.name), "xyxy"
    return open_coco(path, images, path.stem), "xywh"


def _read_directory(folder: Path) -> tuple[Dataset, str]:
    name = folder.resolve().name
    if (folder / INDEX_NAME).is_file():
        return open_folder(folder / INDEX_NAME, name), "xyxy"
    dataset = open_sa1b(folder, name)
    if dataset is None:
        raise DataError(
            f"{folder} holds neither {INDEX_NAME} nor photos with a JSON file beside each: "
            "give a folder of images and masks, one in SA-1B's format, or a COCO file"
        )
    return dataset, "xywh"


def _require_distinct(dataset: Dataset) -> None:
    for what, ids in (
        ("image", Counter(record.id for record in dataset)),
        ("object", Counter(item.id for record in dataset for item in record.objects)),
    ):
        for identifier, count in ids.most_common(1):
            if count > 1:
                raise DataError(
                    f"dataset '{dataset.name}' has {count} {what}s of id '{identifier}'"
                )


def _reasons(dataset: Dataset) -> str:
    tally = Tally()
    tally.add(dataset.problems)
    tally.add(problem for record in dataset for problem in record.problems)
    return ": " + "; ".join(tally.lines()[:3]) if tally.lines() else ""

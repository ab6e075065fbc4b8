"""Image-and-mask folders: photos, one image file a mask, and an `index.json` that lists them.

The index is a list of entries. Each names an `image` and its masks, either as `objects` (`file`,
and where known `category`, `area_frac`, `bbox_xyxy`) or as `masks` (files alone); `id`, `width`,
`height`, `dataset` and `group` are optional, other keys are ignored.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqsam_deploy.datasets.fields import finite, four, read_json, size
from sqsam_deploy.datasets.images import stored_size
from sqsam_deploy.datasets.mask_files import FileMask
from sqsam_deploy.datasets.problems import Problem
from sqsam_deploy.datasets.records import NO_BOX, Dataset, ImageRecord, ObjectRecord
from sqsam_deploy.errors import DataError

INDEX_NAME = "index.json"


def open_folder(index: Path, name: str) -> Dataset:
    """A dataset from its `index.json`.

    Args:
        index: The file; images and masks lie beside it.
        name: The dataset's name.

    Raises:
        DataError: The index is missing, is no list, or has no entry that can be used.
    """
    entries = read_json(index)
    if not isinstance(entries, list):
        raise DataError(f"{index} is not a list of images with masks")
    read = [_image_record(entry, f"entry {i}", index.parent) for i, entry in enumerate(entries)]
    records = tuple(record for record in read if isinstance(record, ImageRecord))
    problems = tuple(problem for problem in read if isinstance(problem, Problem))
    if not records:
        reason = f": {problems[0]}" if problems else ""
        raise DataError(f"{index} is not a list of images with masks{reason}")
    return Dataset(name, records, problems)


def _image_record(entry: Any, where: str, root: Path) -> ImageRecord | Problem:
    if not isinstance(entry, dict):
        return Problem("photo", "an entry that is not a JSON object", where)
    image, given = _file(entry.get("image")), entry.get("id")
    if image is None:
        return Problem("photo", "no image file", f"{where}.image")
    name = str(given) if isinstance(given, str | int) else Path(image).stem
    masks, problems = _masks(entry, where)
    sides = _sides(entry, root, [file for file, _ in masks])
    if sides is None:
        return Problem("photo", "a width and height that cannot be read", f"{where}.width")
    objects = [
        _object_record(identifier, file, stated, root, *sides)
        for identifier, (file, stated) in zip(_ids([file for file, _ in masks]), masks, strict=True)
    ]
    return ImageRecord(
        name,
        root / image,
        *sides,
        tuple(item for item, _ in objects),
        source=str(entry.get("dataset", root.resolve().name)),
        group=str(entry.get("group", name)),
        problems=(*problems, *(problem for _, found in objects for problem in found)),
    )


def _file(value: Any) -> str | None:
    usable = isinstance(value, str) and value.strip("/.") and "\0" not in value
    return value if usable else None


def _masks(
    entry: Mapping[str, Any], where: str
) -> tuple[list[tuple[str, Mapping[str, Any]]], list[Problem]]:
    """The files that an entry lists under either key, each with what is stated of it."""
    stated: list[tuple[str, Any]] = []
    for key in ("objects", "masks"):
        value = entry.get(key, [])
        if isinstance(value, list):
            stated += [(f"{where}.{key}.{i}", item) for i, item in enumerate(value)]
        else:
            stated.append((f"{where}.{key}", None))
    if "objects" not in entry and "masks" not in entry:
        stated.append((where, None))
    found: list[tuple[str, Mapping[str, Any]]] = []
    named: set[str] = set()
    problems = []
    for place, item in stated:
        from_objects = isinstance(item, dict)
        file = _file(item.get("file") if from_objects else item)
        if file is None:
            problems.append(Problem("object", "no mask file", place))
        elif from_objects or file not in named:
            found.append((file, item if from_objects else {}))
            named.add(file)
    return found, problems


def _sides(entry: Mapping[str, Any], root: Path, masks: list[str]) -> tuple[int, int] | None:
    """The size that the entry states, or else that of its masks, or else of its photo."""
    if "width" in entry or "height" in entry:
        return size(entry.get("width"), entry.get("height"))
    for file in [*masks, str(entry["image"])]:
        try:
            (width, height), orientation = stored_size(root / file)
        except DataError:
            continue
        return (height, width) if orientation >= 5 else (width, height)
    # Nothing can be read: loading the photo will say so.
    return 1, 1


def _ids(files: list[str]) -> list[str]:
    """The files' names; objects that share a file are numbered."""
    names = [Path(file).with_suffix("").as_posix() for file in files]
    return [
        name if names.count(name) == 1 else f"{name}#{names[:i].count(name)}"
        for i, name in enumerate(names)
    ]


def _object_record(
    identifier: str, file: str, stated: Mapping[str, Any], root: Path, width: int, height: int
) -> tuple[ObjectRecord, list[Problem]]:
    share, box = finite(stated.get("area_frac")), four(stated.get("bbox_xyxy"))
    problems = []
    if "area_frac" in stated and (share is None or not 0 < share <= 1):
        problems.append(
            Problem("object note", "an area that cannot be: measured from the mask", file)
        )
        share = None
    area = None if share is None else float(round(share * width * height))
    item = ObjectRecord(
        id=identifier,
        category=str(stated.get("category", "object")),
        area=float("nan") if area is None else area,
        box=box or NO_BOX,
        source=FileMask(root / file, height, width, area, box),
    )
    return item, problems

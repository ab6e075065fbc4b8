"""COCO `instances_*.json` and LVIS v1 and v0.5, which share COCO's layout.

Formats: https://cocodataset.org/#format-data and https://www.lvisdataset.org/dataset. Polygons are
kept as arrays and become masks one at a time, so the 36,000 masks of val2017 cost some 30 MB.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from sqsam_deploy.datasets.masks import MaskSource, PolygonMask, RleMask
from sqsam_deploy.datasets.records import Dataset, ImageRecord, ObjectRecord
from sqsam_deploy.errors import DataError

_SECTIONS = ("images", "annotations", "categories")


def open_coco(path: Path, images: Path | None, name: str) -> Dataset:
    """A dataset from a COCO or LVIS file. Crowds and images without objects are left out.

    Args:
        path: The JSON file.
        images: Directory of the photos; searched beside the file when None.
        name: The dataset's name.

    Raises:
        DataError: The file is damaged, or the photos cannot be found.
    """
    content = read_coco_json(path)
    try:
        annotations = _annotations_by_image(content["annotations"])
        categories = {entry["id"]: str(entry["name"]) for entry in content["categories"]}
        annotated = [image for image in content["images"] if image["id"] in annotations]
        roots = [images] if images else _likely_roots(path)
        records = tuple(
            _image_record(image, annotations[image["id"]], categories, roots) for image in annotated
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(f"{path} is not in COCO's or LVIS's format: {error!r}") from error
    _require_some_photo(records, path, roots)
    return Dataset(name, records)


def read_coco_json(path: Path) -> dict[str, Any]:
    """The file's sections.

    Raises:
        DataError: The file is missing, not JSON, or lacks a section.
    """
    try:
        content = json.loads(path.read_bytes())
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}") from error
    missing = [key for key in _SECTIONS if not isinstance(content, dict) or key not in content]
    if missing:
        raise DataError(f"{path} is not in COCO's or LVIS's format: it has no '{missing[0]}'")
    return dict(content)


def _annotations_by_image(
    annotations: Iterable[Mapping[str, Any]],
) -> dict[int, list[Mapping[str, Any]]]:
    by_image: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
    for annotation in annotations:
        if not annotation.get("iscrowd", 0) and annotation["area"] > 0:
            by_image[annotation["image_id"]].append(annotation)
    return dict(by_image)


def _image_record(
    image: Mapping[str, Any],
    annotations: Iterable[Mapping[str, Any]],
    categories: Mapping[int, str],
    roots: list[Path],
) -> ImageRecord:
    height, width = int(image["height"]), int(image["width"])
    objects = tuple(_object_record(entry, categories, height, width) for entry in annotations)
    return ImageRecord(str(image["id"]), _find_photo(image, roots), width, height, objects)


def _object_record(
    annotation: Mapping[str, Any], categories: Mapping[int, str], height: int, width: int
) -> ObjectRecord:
    x, y, box_width, box_height = (float(value) for value in annotation["bbox"])
    return ObjectRecord(
        id=str(annotation["id"]),
        category=categories[annotation["category_id"]],
        area=float(annotation["area"]),
        box=(x, y, x + box_width, y + box_height),
        source=_mask_source(annotation, height, width),
    )


def _mask_source(annotation: Mapping[str, Any], height: int, width: int) -> MaskSource:
    label, stored = f"annotation {annotation['id']}", annotation["segmentation"]
    if isinstance(stored, list):
        polygons = tuple(np.asarray(polygon, np.float64) for polygon in stored)
        return PolygonMask(label, polygons, height, width)
    counts = stored["counts"]
    runs = counts.encode("ascii") if isinstance(counts, str) else tuple(counts)
    return RleMask(label, runs, *stored["size"])


def _likely_roots(path: Path) -> list[Path]:
    """Where photos usually lie: `annotations/x.json` beside `images/` or beside `val2017/`."""
    near = [path.parent, path.parent.parent]
    return [root / folder for root in near for folder in ("images", ".")]


def _find_photo(image: Mapping[str, Any], roots: list[Path]) -> Path:
    """The first candidate that exists, or the first one at all: loading it names what is missing.

    LVIS v1 has no `file_name`, and v0.5 has that of COCO 2014: the end of `coco_url`
    (`val2017/000000011813.jpg`) is the file in both.
    """
    names = []
    if "coco_url" in image:
        split, file = PurePosixPath(image["coco_url"]).parts[-2:]
        names += [f"{split}/{file}", file]
    if "file_name" in image:
        names.insert(0, str(image["file_name"]))
    candidates = [root / name for root in roots for name in names]
    return next((path for path in candidates if path.is_file()), candidates[0])


def _require_some_photo(records: tuple[ImageRecord, ...], path: Path, roots: list[Path]) -> None:
    if not records:
        raise DataError(f"{path} has no object that is not a crowd")
    if not any(record.path.is_file() for record in records):
        where = ", ".join(str(root) for root in roots)
        raise DataError(f"no photo of {path} found in {where}: name the photos' directory")

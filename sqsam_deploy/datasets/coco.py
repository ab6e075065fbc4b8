"""COCO `instances_*.json` and LVIS v1 and v0.5, which share COCO's format.

Formats: https://cocodataset.org/#format-data and https://www.lvisdataset.org/dataset. Polygons are
kept as arrays and become masks one at a time, so the 36,000 masks of val2017 cost some 30 MB.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from sqsam_deploy.datasets.fields import finite, four, is_file, read_json, size
from sqsam_deploy.datasets.masks import MaskSource, PolygonMask, RleMask, extent, parse_polygons
from sqsam_deploy.datasets.problems import MaskError, Problem, Tally, object_problem
from sqsam_deploy.datasets.records import Dataset, ImageRecord, ObjectRecord
from sqsam_deploy.errors import DataError

_SECTIONS = ("images", "annotations", "categories")


def open_coco(path: Path, images: Path | None, name: str) -> Dataset:
    """A dataset from a COCO or LVIS file.

    Images without objects are left out in silence; crowds, and what cannot be read, are counted.

    Args:
        path: The JSON file.
        images: Directory of the photos; searched beside the file when None.
        name: The dataset's name.

    Raises:
        DataError: The file is damaged, holds no usable object, or the photos cannot be found.
    """
    content = read_coco_json(path)
    categories = category_names(content)
    roots = [images] if images else _likely_roots(path)
    annotated, problems = _by_image(content["annotations"])
    records = []
    for number, image in enumerate(content["images"]):
        record = _image_record(image, f"image number {number}", annotated, categories, roots)
        if isinstance(record, Problem):
            problems.append(record)
        elif record is not None:
            records.append(record)
    problems += [
        Problem("object", "of an image that the file does not list", _label(entry))
        for left in annotated.values()
        for entry in left
    ]
    _require_some_photo(records, problems, path, roots)
    return Dataset(name, tuple(records), tuple(problems))


def every_image(dataset: Dataset, path: Path, images: Path | None) -> Dataset:
    """A dataset with those images of its file too in which nothing is annotated, or only a crowd.

    A detection in them is wrong, and AP has to count it.

    Args:
        dataset: From `path`.
        path: The JSON file.
        images: Directory of the photos; searched beside the file when None.

    Raises:
        DataError: The file is damaged.
    """
    known = {record.id: record for record in dataset}
    roots = [images] if images else _likely_roots(path)
    records = []
    for image in read_coco_json(path)["images"]:
        identifier = image.get("id") if isinstance(image, dict) else None
        record = known.get(str(identifier))
        if record is None:
            unmarked: dict[Any, list[Any]] = {identifier: []}
            found = _image_record(image, f"image {identifier}", unmarked, {}, roots)
            record = found if isinstance(found, ImageRecord) else None
        elif all(problem.cost == "skipped object" for problem in record.problems):
            record = record if record.objects else replace(record, problems=())
        records += [record] if record else []
    return replace(dataset, images=tuple(records))


def is_lvis(content: Mapping[str, Any]) -> bool:
    """Whether a file is LVIS's: it says which categories an image was not searched for."""
    return any("neg_category_ids" in image for image in content["images"])


def read_coco_json(path: Path) -> dict[str, Any]:
    """The file's sections, each a list.

    Raises:
        DataError: The file is missing, not JSON, or lacks a section.
    """
    content = read_json(path)
    for key in _SECTIONS:
        if not isinstance(content, dict) or not isinstance(content.get(key), list):
            raise DataError(f"{path} is not in COCO's or LVIS's format: it has no '{key}'")
    return dict(content)


def category_names(content: Mapping[str, Any]) -> dict[Any, str]:
    """Names of a file's categories by their number."""
    return {
        entry["id"]: str(entry.get("name", entry["id"]))
        for entry in content["categories"]
        if isinstance(entry, dict) and isinstance(entry.get("id"), int | str)
    }


def object_record(
    annotation: Mapping[str, Any], label: str, category: str, width: int, height: int
) -> tuple[ObjectRecord | None, list[Problem]]:
    """One annotation of COCO, LVIS or SA-1B, and what is wrong with it.

    A missing, zero or impossible area, and a missing box, are measured from the mask.
    """
    if annotation.get("iscrowd"):
        return None, [Problem("skipped object", "marked as a crowd", label)]
    try:
        source = mask_source(annotation.get("segmentation"), label, width, height)
        area, box = finite(annotation.get("area")), four(annotation.get("bbox"))
        if box is None and annotation.get("bbox"):
            raise MaskError(label, "a box that is not four finite numbers")
        problems = []
        if area is None or not 0 < area <= 1.05 * width * height:
            stated = "no area" if area is None else "an area that cannot be"
            problems.append(Problem("object note", f"{stated}: measured from the mask", label))
            area = extent(source)[0]
        if box is None or min(box[2:]) <= 0:
            problems.append(Problem("object note", "no box: measured from the mask", label))
            x0, y0, x1, y1 = extent(source)[1]
            box = (x0, y0, x1 - x0, y1 - y0)
    except DataError as error:
        return None, [object_problem(error, label)]
    x, y, box_width, box_height = box
    identifier = str(annotation.get("id", label))
    corners = (x, y, x + box_width, y + box_height)
    return ObjectRecord(identifier, category, area, corners, source), problems


def mask_source(stored: Any, label: str, width: int, height: int) -> MaskSource:
    """A `segmentation`: polygons or run lengths.

    Raises:
        MaskError: It is neither, or damaged.
    """
    if isinstance(stored, list):
        return PolygonMask(label, parse_polygons(stored, label, height, width), height, width)
    if not isinstance(stored, dict):
        raise MaskError(label, "no segmentation")
    stated, counts = stored.get("size"), stored.get("counts")
    if stated != [height, width]:
        raise MaskError(
            label, "of another size than its photo", f"size {stated}, the photo [{height}, {width}]"
        )
    if isinstance(counts, str):
        return RleMask(label, counts.encode("utf-8", "replace"), height, width)
    if not isinstance(counts, list) or not all(type(run) is int for run in counts):
        raise MaskError(label, "damaged run lengths", "counts are no list of whole numbers")
    return RleMask(label, tuple(counts), height, width)


def _label(annotation: Any) -> str:
    return f"annotation {annotation.get('id', '?')}"


def _by_image(annotations: Iterable[Any]) -> tuple[dict[Any, list[Any]], list[Problem]]:
    by_image: dict[Any, list[Any]] = defaultdict(list)
    problems = []
    for number, entry in enumerate(annotations):
        key = entry.get("image_id") if isinstance(entry, dict) else None
        if isinstance(key, int | str):
            by_image[key].append(entry)
        else:
            where = f"annotation number {number}"
            problems.append(Problem("object", "an annotation that names no image", where))
    return dict(by_image), problems


def _image_record(
    image: Any,
    where: str,
    annotated: dict[Any, list[Any]],
    categories: Mapping[Any, str],
    roots: list[Path],
) -> ImageRecord | Problem | None:
    """A record, or why there is none; None for an image without annotations."""
    if not isinstance(image, dict) or not isinstance(image.get("id"), int | str):
        return Problem("photo", "an image without an id", where)
    entries = annotated.pop(image["id"], None)
    if entries is None:
        return None
    where = f"image {image['id']}"
    sides, names = size(image.get("width"), image.get("height")), _photo_names(image)
    if sides is None:
        return Problem("photo", "a width and height that cannot be read", where)
    if not names:
        return Problem("photo", "no file_name", where)
    objects, problems = [], []
    for entry in entries:
        category = _hashable(entry.get("category_id"))
        name = categories.get(category, str(category))
        item, found = object_record(entry, _label(entry), name, *sides)
        problems += found
        if item is not None:
            objects.append(item)
    path = _find_photo(names, roots)
    identifier = str(image["id"])
    return ImageRecord(
        identifier,
        path,
        *sides,
        tuple(objects),
        source=path.parent.name,
        group=identifier,
        problems=tuple(problems),
    )


def _hashable(value: Any) -> int | str:
    return value if isinstance(value, int | str) else "object"


def _likely_roots(path: Path) -> list[Path]:
    """Where photos usually lie: `annotations/x.json` beside `images/` or beside `val2017/`."""
    near = [path.parent, path.parent.parent]
    return [root / folder for root in near for folder in ("images", ".")]


def _photo_names(image: Mapping[str, Any]) -> list[str]:
    """Where a photo may lie below its folder.

    LVIS v1 has no `file_name`, and v0.5 has that of COCO 2014: the end of `coco_url`
    (`val2017/000000011813.jpg`) is the file in both. CVAT and Datumaro write `"coco_url": ""`.
    """
    names = []
    stated, url = image.get("file_name"), image.get("coco_url")
    if isinstance(stated, str) and stated.strip("/."):
        names += list(dict.fromkeys([stated, stated.replace("\\", "/")]))
    parts = PurePosixPath(url).parts if isinstance(url, str) else ()
    if parts:
        names += ["/".join(parts[-2:]), parts[-1]]
    return [name for name in names if "\0" not in name]


def _find_photo(names: list[str], roots: list[Path]) -> Path:
    """The first candidate that exists, else the first: loading it names what is missing."""
    candidates = [root / name for root in roots for name in names]
    return next((path for path in candidates if is_file(path)), candidates[0])


def _require_some_photo(
    records: list[ImageRecord], problems: list[Problem], path: Path, roots: list[Path]
) -> None:
    if not any(record.objects for record in records):
        tally = Tally()
        tally.add(problems)
        tally.add(problem for record in records for problem in record.problems)
        reasons = "; ".join(tally.lines()[:3]) or "it lists none"
        raise DataError(f"{path} has no object that can be used: {reasons}")
    if not any(is_file(record.path) for record in records):
        where = ", ".join(str(root) for root in roots)
        raise DataError(f"no photo of {path} found in {where}: name the photos' directory")

"""Conventions of a whole data set: how its boxes are written, on which pixels it was annotated.

Both are decided once, from a sample, because single objects and photos can be ambiguous: a box
near the corner looks alike as (x, y, width, height) and as (x0, y0, x1, y1), and a photo that EXIF
turns upside down has the same size either way.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from math import isnan

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy._internal.geometry import bounding_box
from sqsam_deploy.datasets.annotated import decode_objects
from sqsam_deploy.datasets.images import stored_size
from sqsam_deploy.datasets.masks import Box
from sqsam_deploy.datasets.problems import Problem, Tally
from sqsam_deploy.datasets.records import Dataset, ImageRecord, ObjectRecord, draw_ids
from sqsam_deploy.errors import DataError

#: Photos whose masks are decoded, objects of each of them, and photos whose headers are read.
PHOTOS, OBJECTS, HEADERS = 24, 4, 500
#: Pixels, and share of a side, by which a box may miss its mask's edge and still be exact.
_EXACT_PIXELS, _EXACT_SHARE = 2.0, 0.02
#: Share of the boxes that have to be exact for another reading than the format's.
_SURE = 0.8

#: (x0, y0, x1, y1) and the photo's (width, height) to corners.
Reading = Callable[[Box, float, float], Box]


@dataclass(frozen=True)
class _Looked:
    """An object of the sample: its record, its photo, its mask's box."""

    item: ObjectRecord
    record: ImageRecord
    tight: Box


def surveyed(dataset: Dataset, boxes: str) -> Dataset:
    """The data set with what was decided for all of it; what was decided is a problem to report.

    Args:
        dataset: From a reader.
        boxes: How its format writes boxes: "xywh" or "xyxy".

    Raises:
        DataError: Most of the objects of the sample cannot be used, or look inverted.
    """
    sample = _sample(dataset, PHOTOS)
    looked, whole = _look(sample, boxes, dataset.name)
    written = _box_reading(looked, boxes)
    dataset = _with_boxes(dataset, boxes, written)
    _require_usable(_sample(dataset, PHOTOS), dataset.name)
    _refuse_inverted(whole, dataset.name)
    return _with_orientation(dataset)


def _sample(dataset: Dataset, count: int) -> list[ImageRecord]:
    images = dataset.images
    if len(images) <= count:
        return list(images)
    if isinstance(images, tuple):
        drawn = set(draw_ids((record.id for record in images), count, seed=0))
        return [record for record in images if record.id in drawn]
    step = len(images) // count
    return [images[i * step] for i in range(count)]


def _look(
    sample: Iterable[ImageRecord], boxes: str, name: str
) -> tuple[list[_Looked], list[NDArray[np.bool_]]]:
    """Objects with a stated box, and masks of which nothing is stated."""
    looked, unstated = [], []
    for record in sample:
        for item in record.objects[:OBJECTS]:
            try:
                mask = item.source.decode().mask
            except DataError:
                continue
            if not mask.any():
                continue
            if isnan(item.area) and isnan(item.box[0]):
                unstated.append(mask)
            elif not isnan(item.box[0]):
                looked.append(_Looked(item, record, bounding_box(mask)))
    return looked, unstated


def _require_usable(sample: Iterable[ImageRecord], name: str) -> None:
    tally = Tally()
    for record in sample:
        some = replace(record, objects=record.objects[:OBJECTS])
        kept, problems = decode_objects(some)
        tally.objects += len(kept)
        tally.add(problems)
    tally.require_most(name)


def _corners(box: Box, boxes: str, width: float, height: float) -> Box:
    """A box written in one of the ways there are, as (x0, y0, x1, y1) in pixels."""
    a, b, c, d = box
    if boxes.startswith("normalized "):
        a, b, c, d = a * width, b * height, c * width, d * height
    kind = boxes.split()[-1]
    if kind == "xywh":
        return a, b, a + c, b + d
    if kind == "cxcywh":
        return a - c / 2, b - d / 2, a + c / 2, b + d / 2
    return a, b, c, d


_KINDS = ("xywh", "xyxy", "cxcywh")
_WAYS = (*_KINDS, *(f"normalized {kind}" for kind in _KINDS))


def _raw(box: Box, boxes: str) -> Box:
    """The four numbers as the file has them."""
    x0, y0, x1, y1 = box
    return (x0, y0, x1 - x0, y1 - y0) if boxes == "xywh" else box


def _box_reading(looked: Sequence[_Looked], boxes: str) -> str:
    """The way in which most boxes are their masks'; the format's own where none is sure."""
    if not looked:
        return boxes
    exact = {way: sum(_is_exact(one, boxes, way) for one in looked) for way in _WAYS}
    if exact[boxes] >= len(looked) / 2:
        return boxes
    best = max(_WAYS, key=lambda way: exact[way])
    return best if exact[best] >= _SURE * len(looked) else boxes


def _is_exact(one: _Looked, boxes: str, way: str) -> bool:
    corners = _corners(_raw(one.item.box, boxes), way, one.record.width, one.record.height)
    sides = (one.tight[2] - one.tight[0], one.tight[3] - one.tight[1])
    return all(
        abs(corner - edge) <= max(_EXACT_PIXELS, _EXACT_SHARE * sides[i % 2])
        for i, (corner, edge) in enumerate(zip(corners, one.tight, strict=True))
    )


def _with_boxes(dataset: Dataset, boxes: str, written: str) -> Dataset:
    if written == boxes or not isinstance(dataset.images, tuple):
        return dataset
    records = tuple(_reread_all(record, boxes, written) for record in dataset.images)
    kind = f"boxes written as {written}, not as {boxes}, and read so"
    notes = tuple(
        Problem("object note", kind, f"object {item.id}")
        for record in records
        for item in record.objects
    )
    return replace(dataset, images=records, problems=(*dataset.problems, *notes))


def _reread_all(record: ImageRecord, boxes: str, written: str) -> ImageRecord:
    objects = (_reread(item, record, boxes, written) for item in record.objects)
    return replace(record, objects=tuple(objects))


def _reread(item: ObjectRecord, record: ImageRecord, boxes: str, written: str) -> ObjectRecord:
    box = _corners(_raw(item.box, boxes), written, record.width, record.height)
    source = item.source
    if hasattr(source, "box"):
        source = replace(source, box=box)  # type: ignore[type-var]
    return replace(item, box=box, source=source)


def _refuse_inverted(masks: Sequence[NDArray[np.bool_]], name: str) -> None:
    """Masks that hold every corner and over half of their photo, one like the other.

    Raises:
        DataError: Most of at least three are so.
    """
    corners = (np.s_[0, 0], np.s_[0, -1], np.s_[-1, 0], np.s_[-1, -1])
    background = [
        mask.mean() > 0.5 and not mask.all() and all(mask[corner] for corner in corners)
        for mask in masks
    ]
    if len(masks) >= 3 and sum(background) > _SURE * len(masks):
        raise DataError(
            f"dataset '{name}': {sum(background)} of {len(masks)} masks looked at hold all four "
            "corners and most of their photo: they seem inverted; invert them, or state "
            "area_frac and bbox_xyxy of every object in index.json"
        )


def _with_orientation(dataset: Dataset) -> Dataset:
    """Decides whether masks were drawn on stored or on upright pixels, by the photos that tell."""
    if not isinstance(dataset.images, tuple):
        return dataset
    upright, stored, ambiguous = list[str](), list[str](), list[str]()
    for record in _sample(dataset, HEADERS):
        try:
            size, orientation = stored_size(record.path)
        except DataError:
            continue
        if orientation == 1:
            continue
        wanted, turned = (record.width, record.height), size[::-1] if orientation >= 5 else size
        either = [size == wanted, turned == wanted]
        where = [stored if either == [True, False] else upright, ambiguous][all(either)]
        where.append(record.path.name)
    on_stored = len(stored) > len(upright)
    kinds = [
        (ambiguous, f"turned by EXIF, annotated {_pixels(on_stored)} as far as can be told"),
        (stored, "turned by EXIF, annotated on the stored pixels"),
    ]
    if stored and not on_stored:
        kinds.append((upright, "turned by EXIF, annotated upright"))
    notes = tuple(Problem("photo note", kind, name) for names, kind in kinds for name in names)
    records = dataset.images
    if on_stored:
        records = tuple(replace(record, stored_pixels=True) for record in records)
    return replace(dataset, images=records, problems=(*dataset.problems, *notes))


def _pixels(on_stored: bool) -> str:
    return "on the stored pixels" if on_stored else "upright"

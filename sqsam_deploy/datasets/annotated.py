"""A photo with its masks, checked: what training, calibration and evaluation all look at."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from math import isnan

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy._internal.geometry import bounding_box
from sqsam_deploy.datasets.images import load_image
from sqsam_deploy.datasets.masks import area_agrees, box_agrees
from sqsam_deploy.datasets.problems import MaskError, Problem, Tally, object_problem
from sqsam_deploy.datasets.records import Dataset, ImageRecord, ObjectRecord
from sqsam_deploy.errors import DataError

_AREA_OF_BOX = "areas that are those of the boxes: measured from the masks"


@dataclass(frozen=True)
class AnnotatedImage:
    """One photo with everything decoded.

    Attributes:
        record: The data set's entry, with the objects that can be used.
        image: HxWx3 uint8 RGB.
        masks: HxW bool, one per object of the record, none of them empty.
        problems: What was left out, or read otherwise than written.
    """

    record: ImageRecord
    image: NDArray[np.uint8]
    masks: tuple[NDArray[np.bool_], ...]
    problems: tuple[Problem, ...]


def load_annotated(record: ImageRecord) -> AnnotatedImage:
    """Decodes a photo and its masks; an object that cannot be used does not cost the others.

    Raises:
        DataError: The photo cannot be read, or had objects and none of them can be used.
    """
    image = load_image(record)
    kept, problems = decode_objects(record)
    problems = [*record.problems, *problems]
    unusable = [problem for problem in problems if "note" not in problem.cost]
    if not kept and unusable:
        raise DataError(f"image {record.path} has no usable object: {unusable[0]}")
    usable = replace(record, objects=tuple(item for item, _ in kept))
    return AnnotatedImage(usable, image, tuple(mask for _, mask in kept), tuple(problems))


def load_all(dataset: Dataset) -> Iterator[AnnotatedImage]:
    """Every photo that can be used, one at a time; what cannot is counted and logged at the end.

    Raises:
        DataError: Most of the objects or photos cannot be used, or none can.
    """
    tally = Tally()
    tally.add(dataset.problems)
    for record in dataset:
        try:
            annotated = load_annotated(record)
        except DataError as error:
            tally.add([Problem("photo", "cannot be used", str(error))])
            continue
        tally.add(annotated.problems)
        if not annotated.masks:
            tally.add([Problem("photo note", "without objects", str(record.path))])
        tally.photos, tally.objects = tally.photos + 1, tally.objects + len(annotated.masks)
        yield annotated
    if len(dataset) and not tally.photos:
        raise DataError(f"dataset '{dataset.name}' has no photo to use: {tally.lines()[0]}")
    tally.require_most(dataset.name)
    tally.report(dataset.name)


def load_photos(dataset: Dataset) -> Iterator[NDArray[np.uint8]]:
    """The photos alone, HxWx3 uint8 RGB; those that cannot be read are counted and logged.

    Raises:
        DataError: Most of them cannot be read.
    """
    tally = Tally()
    for record in dataset:
        try:
            image = load_image(record)
        except DataError as error:
            tally.add([Problem("photo", "cannot be used", str(error))])
            continue
        tally.photos += 1
        yield image
    tally.require_most(dataset.name)
    tally.report(dataset.name)


def decode_objects(
    record: ImageRecord,
) -> tuple[list[tuple[ObjectRecord, NDArray[np.bool_]]], list[Problem]]:
    """The objects whose masks can be used, and what is wrong with the others."""
    kept, problems = [], []
    for item in record.objects:
        try:
            mask, reading = item.source.decode()
            if _states_area_of_box(item, mask):
                problems.append(Problem("object note", _AREA_OF_BOX, f"object {item.id}"))
                item = replace(item, area=float(np.count_nonzero(mask)))
            _check(item, mask, record)
        except DataError as error:
            problems.append(object_problem(error, f"object {item.id}"))
            continue
        if reading:
            problems.append(Problem("object note", f"{reading}, and read so", f"object {item.id}"))
        kept.append((measured(item, mask), mask))
    return kept, problems


def _states_area_of_box(item: ObjectRecord, mask: NDArray[np.bool_]) -> bool:
    """Whether an area is not the mask's but that of the box, as some converters write it."""
    x0, y0, x1, y1 = item.box
    inside = (x1 - x0) * (y1 - y0)
    pixels = int(np.count_nonzero(mask))
    return abs(item.area - inside) <= 0.01 * inside and not area_agrees(pixels, item.area)


def measured(item: ObjectRecord, mask: NDArray[np.bool_]) -> ObjectRecord:
    """The object with the mask's own area and box, where the data set states none."""
    if isnan(item.area):
        item = replace(item, area=float(np.count_nonzero(mask)))
    if any(isnan(edge) for edge in item.box):
        x0, y0, x1, y1 = (float(edge) for edge in bounding_box(mask))
        item = replace(item, box=(x0, y0, x1, y1))
    return item


def _check(item: ObjectRecord, mask: NDArray[np.bool_], record: ImageRecord) -> None:
    """The checks that every reader's masks have to pass."""
    where = f"object {item.id} of {record.path.name}"
    if mask.shape != (record.height, record.width):
        raise MaskError(where, "of another size than its photo")
    pixels = int(np.count_nonzero(mask))
    if not pixels:
        raise MaskError(where, "empty mask")
    if not isnan(item.area) and not area_agrees(pixels, item.area):
        raise MaskError(
            where,
            "a mask that contradicts the stated area",
            f"{pixels} pixels, stated {item.area:.0f}",
        )
    if not isnan(item.box[0]):
        tight = bounding_box(mask)
        if not box_agrees(tight, item.box):
            shown = [[round(edge) for edge in box] for box in (tight, item.box)]
            raise MaskError(
                where,
                "a mask that contradicts the stated box",
                f"it lies in {shown[0]}, stated {shown[1]}",
            )


def with_measures(records: Iterable[ImageRecord]) -> Iterator[ImageRecord]:
    """The records with every area and box that the data set does not state, from the masks.

    Only masks without a stated area or box are decoded; those that cannot be are left out.
    """
    for record in records:
        unstated = [item for item in record.objects if isnan(item.area) or isnan(item.box[0])]
        if not unstated:
            yield record
            continue
        kept, problems = decode_objects(replace(record, objects=tuple(unstated)))
        known = {item.id: item for item, _ in kept}
        stated = {item.id for item in record.objects} - {item.id for item in unstated}
        objects = tuple(
            known.get(item.id, item)
            for item in record.objects
            if item.id in known or item.id in stated
        )
        left_out = [problem for problem in problems if problem.cost == "object"]
        yield replace(record, objects=objects, problems=(*record.problems, *left_out))

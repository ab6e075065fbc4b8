"""The 80%-overlap rule of the paper's Table 4: LVIS masks where COCO's are coarser."""

from dataclasses import replace
from typing import Any

import numpy as np

from sqsam_deploy.datasets.masks import PolygonMask, RleMask
from sqsam_deploy.datasets.records import Dataset, ImageRecord, ObjectRecord
from sqsam_deploy.errors import UsageError

#: "An LVIS mask replaces the COCO mask it overlaps by over 80%" (arXiv 2312.06736).
OVERLAP = 0.8


def replace_overlapped(coco: Dataset, lvis: Dataset) -> Dataset:
    """COCO's objects with LVIS's mask wherever the two are the same object.

    The overlap is the intersection over union, so that a part (a wheel) never stands in for the
    whole. The object keeps COCO's id and category; mask, area and box become LVIS's. Each LVIS
    mask serves once, best pairs first.

    Args:
        coco: From `open_dataset`, polygons or run lengths.
        lvis: From `open_dataset`; its images have COCO's ids.

    Raises:
        UsageError: The two have no image in common.
    """
    by_id = {record.id: record for record in lvis}
    if not any(record.id in by_id for record in coco):
        raise UsageError(f"'{coco.name}' and '{lvis.name}' have no image in common")
    images = tuple(
        _replaced(record, by_id[record.id]) if record.id in by_id else record for record in coco
    )
    problems = (*coco.problems, *lvis.problems)
    return Dataset(f"{coco.name} with {lvis.name}", images, problems)


def _replaced(coco: ImageRecord, lvis: ImageRecord) -> ImageRecord:
    substitutes = _match(coco, lvis)
    objects = tuple(
        _with_mask_of(lvis.objects[substitutes[index]], item) if index in substitutes else item
        for index, item in enumerate(coco.objects)
    )
    return replace(coco, objects=objects)


def _with_mask_of(substitute: ObjectRecord, item: ObjectRecord) -> ObjectRecord:
    return replace(item, area=substitute.area, box=substitute.box, source=substitute.source)


def _match(coco: ImageRecord, lvis: ImageRecord) -> dict[int, int]:
    """LVIS object by COCO object, greedily from the best pair down."""
    from pycocotools import mask as coco_mask

    ious = coco_mask.iou(_rles(coco), _rles(lvis), [0] * len(lvis.objects))
    rows, columns = np.nonzero(ious > OVERLAP)
    pairs: dict[int, int] = {}
    for index in np.argsort(-ious[rows, columns], kind="stable"):
        row, column = int(rows[index]), int(columns[index])
        if row not in pairs and column not in pairs.values():
            pairs[row] = column
    return pairs


def _rles(record: ImageRecord) -> list[dict[str, Any]]:
    rles = []
    for item in record.objects:
        if not isinstance(item.source, PolygonMask | RleMask):
            raise UsageError(f"object {item.id} is not from a COCO or LVIS file")
        rles.append(item.source.rle())
    return rles

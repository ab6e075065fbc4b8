"""COCO's and LVIS's masks of the same photos, joined as the paper's Table 4 joins them."""

from dataclasses import replace
from typing import Any

import numpy as np

from sqsam_deploy.datasets.masks import PolygonMask, RleMask
from sqsam_deploy.datasets.records import Dataset, ImageRecord, ObjectRecord
from sqsam_deploy.errors import UsageError

#: An LVIS mask takes the place of a COCO mask that it overlaps by more than this (arXiv
#: 2312.06736, "Saliency Evaluation"). The paper does not say how overlap is measured; here it is
#: intersection over union, so that a part (a wheel) never stands in for the whole.
OVERLAP = 0.8


def with_lvis(coco: Dataset, lvis: Dataset) -> Dataset:
    """COCO's images with the masks of both, each object once.

    An object of COCO that an LVIS mask overlaps keeps its id and category; mask, area and box
    become LVIS's. Each LVIS mask serves once, best pairs first. LVIS's other masks follow COCO's,
    their ids after "lvis-".

    Args:
        coco: From `open_dataset`, polygons or run lengths.
        lvis: From `open_dataset`; its images have COCO's ids. Images that COCO lacks are left out.

    Raises:
        UsageError: The two have no image in common.
    """
    by_id = {record.id: record for record in lvis}
    if not any(record.id in by_id for record in coco):
        raise UsageError(f"'{coco.name}' and '{lvis.name}' have no image in common")
    images = tuple(
        _joined(record, by_id[record.id]) if record.id in by_id else record for record in coco
    )
    problems = (*coco.problems, *lvis.problems)
    return Dataset(f"{coco.name} with {lvis.name}", images, problems)


def _joined(coco: ImageRecord, lvis: ImageRecord) -> ImageRecord:
    substitutes = _match(coco, lvis)
    own = [
        _with_mask_of(lvis.objects[substitutes[index]], item) if index in substitutes else item
        for index, item in enumerate(coco.objects)
    ]
    added = [
        replace(item, id=f"lvis-{item.id}")
        for index, item in enumerate(lvis.objects)
        if index not in substitutes.values()
    ]
    return replace(coco, objects=(*own, *added), problems=(*coco.problems, *lvis.problems))


def _with_mask_of(substitute: ObjectRecord, item: ObjectRecord) -> ObjectRecord:
    return replace(item, area=substitute.area, box=substitute.box, source=substitute.source)


def _match(coco: ImageRecord, lvis: ImageRecord) -> dict[int, int]:
    """LVIS object by COCO object, greedily from the best pair down."""
    from pycocotools import mask as coco_mask

    if not coco.objects or not lvis.objects:
        return {}
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

"""A detector's boxes as prompts (the paper's Table 1): reading and matching them."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, TypeAdapter, ValidationError

from sqsam_deploy._internal.geometry import box_iou
from sqsam_deploy.artifact.documents import first_problem, parse_json
from sqsam_deploy.datasets import ImageRecord
from sqsam_deploy.errors import DataError

#: Detections that AP looks at: COCO's of one category in one image (`COCOeval`), LVIS's of all
#: categories in one image (`LVISResults`).
COCO_DETECTIONS, LVIS_DETECTIONS = 100, 300
#: Overlap that makes a box an object's.
MATCH_IOU = 0.5


@dataclass(frozen=True)
class Detection:
    """One box of a detector.

    Attributes:
        category_id: The annotation file's number.
        category: Its name.
        box: (x0, y0, x1, y1) in pixels.
        score: The detector's confidence, by which AP ranks.
    """

    category_id: int
    category: str
    box: tuple[float, float, float, float]
    score: float


class _ResultEntry(BaseModel):
    image_id: int
    category_id: int
    #: x, y, width, height
    bbox: tuple[float, float, float, float]
    score: float


_ENTRIES = TypeAdapter(list[_ResultEntry])


#: From an image's detections, best first, those that AP looks at.
Limit = Callable[[Sequence[Detection]], Sequence[Detection]]


def coco_limit(found: Sequence[Detection]) -> Sequence[Detection]:
    """The best 100 of each category, as COCO's evaluation takes them."""
    seen: Counter[int] = Counter()
    kept = []
    for detection in found:
        seen[detection.category_id] += 1
        if seen[detection.category_id] <= COCO_DETECTIONS:
            kept.append(detection)
    return kept


def lvis_limit(found: Sequence[Detection]) -> Sequence[Detection]:
    """The best 300 of the image, as LVIS's evaluation takes them."""
    return found[:LVIS_DETECTIONS]


def read_detections(
    path: Path, categories: Mapping[int, str], limit: Limit = coco_limit
) -> dict[str, tuple[Detection, ...]]:
    """Detections by image id, best first.

    Args:
        path: COCO results JSON (https://cocodataset.org/#format-results) with `bbox`.
        categories: Names by number, of the annotation file the detector was trained on.
        limit: Keeps those that AP looks at.

    Raises:
        DataError: The file is missing or not in that format, or has an unknown category.
    """
    by_image: dict[str, list[Detection]] = defaultdict(list)
    for entry in _read_entries(path):
        if entry.category_id not in categories:
            raise DataError(f"{path} has category {entry.category_id}, which the dataset lacks")
        x, y, width, height = entry.bbox
        by_image[str(entry.image_id)].append(
            Detection(
                entry.category_id,
                categories[entry.category_id],
                (x, y, x + width, y + height),
                entry.score,
            )
        )
    return {
        image: tuple(limit(sorted(found, key=lambda detection: -detection.score)))
        for image, found in by_image.items()
    }


def _read_entries(path: Path) -> list[_ResultEntry]:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"detections {path} do not exist") from None
    try:
        return _ENTRIES.validate_python(parse_json(content, str(path), DataError))
    except ValidationError as error:
        problem = first_problem(error)
        raise DataError(f"{path} is not a COCO results file: {problem}") from None


def match_detections(
    detections: Sequence[Detection], record: ImageRecord
) -> tuple[int | None, ...]:
    """For each detection the index of its object, or None.

    As COCO's evaluation does: from the highest score down, each box takes the free object of its
    category that it overlaps most, if the boxes' IoU is at least `MATCH_IOU`.
    """
    free = set(range(len(record.objects)))
    matches: list[int | None] = []
    for detection in detections:
        overlaps = {
            index: box_iou(detection.box, record.objects[index].box)
            for index in sorted(free)
            if record.objects[index].category == detection.category
        }
        best = max(overlaps, key=lambda index: overlaps[index], default=None)
        if best is not None and overlaps[best] < MATCH_IOU:
            best = None
        free.discard(-1 if best is None else best)
        matches.append(best)
    return tuple(matches)

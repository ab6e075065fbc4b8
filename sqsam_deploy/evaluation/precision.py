"""COCO's average precision of the masks that a detector's boxes gave (the paper's Table 1)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sqsam_deploy._internal.packages import missing_package
from sqsam_deploy.datasets.coco import is_lvis
from sqsam_deploy.errors import MissingDependencyError
from sqsam_deploy.evaluation.detections import LVIS_DETECTIONS
from sqsam_deploy.evaluation.evaluator import SegmentResult
from sqsam_deploy.evaluation.report import AveragePrecision


def average_precision(
    annotations: Path, segments: Sequence[SegmentResult], image_ids: Sequence[str]
) -> AveragePrecision | None:
    """Mask AP of one artifact, by faster-coco-eval; crowds are ignored as COCO does.

    LVIS files are evaluated LVIS's way: 300 detections an image; a detection of a category that an
    image was not searched for does not count, nor does an unmatched one of a category that is not
    annotated exhaustively there.

    Args:
        annotations: The COCO or LVIS file of the dataset.
        segments: One artifact's masks with the detector's scores and categories.
        image_ids: Images that were evaluated.

    Returns:
        None without any detection.
    """
    if not segments:
        return None
    try:
        from faster_coco_eval import COCO, COCOeval_faster
    except ModuleNotFoundError:
        raise MissingDependencyError(missing_package("faster_coco_eval")) from None

    truth = COCO(str(annotations))
    lvis = is_lvis(truth.dataset)
    counted = _searched_for(truth, segments) if lvis else segments
    if not counted:
        return None
    found = truth.loadRes([_result(segment) for segment in counted])
    evaluation = COCOeval_faster(truth, found, "segm", lvis_style=lvis)
    evaluation.params.imgIds = [int(image) for image in image_ids]
    if lvis:
        evaluation.params.maxDets = [LVIS_DETECTIONS]
    evaluation.run()
    person = [key for key, entry in truth.cats.items() if entry["name"] == "person"]
    return _from_stats(evaluation.stats_as_dict, _category_ap(evaluation, person))


def _searched_for(truth: Any, segments: Sequence[SegmentResult]) -> list[SegmentResult]:
    """Those of categories that their image was searched for; the others do not count.

    faster-coco-eval 1.8 leaves them out too, but fails where an image has no other.
    """
    searched = {key: set(image.get("neg_category_ids", [])) for key, image in truth.imgs.items()}
    for entry in truth.anns.values():
        searched[entry["image_id"]].add(entry["category_id"])
    return [s for s in segments if s.category_id in searched[int(s.image)]]


def _result(segment: SegmentResult) -> dict[str, Any]:
    return {
        "image_id": int(segment.image),
        "category_id": segment.category_id,
        "segmentation": segment.segmentation,
        "score": segment.score,
    }


def _category_ap(evaluation: Any, categories: Sequence[int]) -> float | None:
    """AP of one category, in points; None where there is no such category, or no object of it."""
    if not categories:
        return None
    index = list(evaluation.params.catIds).index(categories[0])
    # Thresholds x recalls x categories x areas (the first is all) x limits (the last is the most).
    precision = evaluation.eval["precision"][:, :, index, 0, -1]
    counted = precision[precision > -1]
    return 100 * float(counted.mean()) if counted.size else None


def _from_stats(stats: dict[str, float], person: float | None) -> AveragePrecision:
    return AveragePrecision(
        ap=100 * stats["AP_all"],
        ap50=100 * stats["AP_50"],
        ap75=100 * stats["AP_75"],
        ap_small=_points(stats["AP_small"]),
        ap_medium=_points(stats["AP_medium"]),
        ap_large=_points(stats["AP_large"]),
        ap_person=person,
    )


def _points(value: float) -> float | None:
    """COCO writes -1 where no object has the size."""
    return None if value < 0 else 100 * value

"""COCO's average precision of the masks that a detector's boxes gave (the paper's Table 1)."""

from collections.abc import Sequence
from pathlib import Path

from sqsam_deploy.errors import MissingDependencyError
from sqsam_deploy.evaluation.evaluator import SegmentResult
from sqsam_deploy.evaluation.report import AveragePrecision


def average_precision(
    annotations: Path, segments: Sequence[SegmentResult], image_ids: Sequence[str]
) -> AveragePrecision | None:
    """Mask AP of one artifact, by faster-coco-eval; crowds are ignored as COCO does.

    LVIS files (they say which categories an image was not searched for) are evaluated LVIS's way.

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
    except ImportError:
        raise MissingDependencyError(
            "AP needs faster-coco-eval: pip install 'sqsam-deploy[eval]'"
        ) from None

    truth = COCO(str(annotations))
    lvis = any("neg_category_ids" in image for image in truth.dataset["images"])
    results = [
        {
            "image_id": int(segment.image),
            "category_id": segment.category_id,
            "segmentation": segment.segmentation,
            "score": segment.score,
        }
        for segment in segments
    ]
    evaluation = COCOeval_faster(truth, truth.loadRes(results), "segm", lvis_style=lvis)
    evaluation.params.imgIds = [int(image) for image in image_ids]
    evaluation.run()
    return _from_stats(evaluation.stats_as_dict)


def _from_stats(stats: dict[str, float]) -> AveragePrecision:
    return AveragePrecision(
        ap=100 * stats["AP_all"],
        ap50=100 * stats["AP_50"],
        ap75=100 * stats["AP_75"],
        ap_small=_points(stats["AP_small"]),
        ap_medium=_points(stats["AP_medium"]),
        ap_large=_points(stats["AP_large"]),
    )


def _points(value: float) -> float | None:
    """COCO writes -1 where no object has the size."""
    return None if value < 0 else 100 * value

"""Sessions that answer at once and by a known rule, a small dataset, and made-up results."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest

from sqsam_deploy.datasets import bundled_dataset, subset
from sqsam_deploy.evaluation.evaluator import ImageResult
from sqsam_deploy.evaluation.gate import DriftLimits
from sqsam_deploy.evaluation.plan import EvaluationPlan, Loaded, assign_references
from sqsam_deploy.evaluation.protocols import GroundTruthBoxes, RandomPoints
from sqsam_deploy.evaluation.results import ClickingResult, ObjectResult
from sqsam_deploy.evaluation.segmenters import SessionSegmenter
from sqsam_deploy.evaluation.summary import Settings, summarize
from sqsam_deploy.model.config import NANO
from sqsam_deploy.model.description import describe
from sqsam_deploy.runtimes.session import Session


class BoxSession(Session):
    """Answers with the prompt's box (all of the image where there is none), cut by `shrink`.

    Mask 1 is the box, masks 0, 2 and 3 are empty; mask 1 is ranked first.
    """

    def __init__(self, precision: str = "fp32", shrink: int = 0) -> None:
        self.metadata = describe(
            NANO, runtime="torch", precision=precision, weights_sha256="0" * 64
        )
        self.shrink = shrink
        self.calls = 0

    def execute(self, feeds: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        self.calls += 1
        size = NANO.mask_size
        box = feeds["prompt_maps"][0, 1, ::2, ::2] > 0
        rows, columns = np.flatnonzero(box.any(1)), np.flatnonzero(box.any(0))
        masks = np.full((1, NANO.num_masks, size, size), -10, np.float32)
        cut = self.shrink
        masks[
            0, 1, rows[0] + cut : rows[-1] + 1 - cut, columns[0] + cut : columns[-1] + 1 - cut
        ] = 10
        iou = np.array([[0.1, 0.8, 0.2, 0.3]], np.float32)
        return {"low_res_masks": masks, "iou_predictions": iou}


@pytest.fixture
def sessions() -> dict[str, BoxSession]:
    return {"float": BoxSession(), "int8": BoxSession("int8", shrink=4)}


@pytest.fixture
def segmenters(sessions) -> dict[str, SessionSegmenter]:
    return {name: SessionSegmenter(session) for name, session in sessions.items()}


@pytest.fixture
def plan(sessions, tmp_path) -> EvaluationPlan:
    loaded = [Loaded(name, tmp_path / name, "0" * 64, s.metadata) for name, s in sessions.items()]
    protocols = (GroundTruthBoxes(), RandomPoints((1, 3), seed=5))
    return EvaluationPlan(assign_references(loaded, None), protocols, clicking=False, threads=1)


@pytest.fixture(scope="session")
def small_dataset():
    return subset(bundled_dataset("sample"), 4, seed=1)


@pytest.fixture(scope="session")
def dataset():
    return bundled_dataset("sample")


#: No loss in 63 photos leaves room for 3.4 points.
LIMITS = DriftLimits(4.0)


def made_up_images(dataset, losses: dict[str, float], seed: int = 0) -> list[ImageResult]:
    """The same random IoUs for every artifact, less a loss of its own."""
    rng = np.random.default_rng(seed)
    results = []
    for record in dataset:
        rows, clicks = [], []
        for item in record.objects:
            for kind in ("box", "1-click", "3-clicks"):
                iou, noise = rng.uniform(0.4, 0.9), rng.normal(0, 0.01)
                for name, loss in losses.items():
                    rows.append(
                        ObjectResult(
                            artifact=name,
                            image=record.id,
                            object=item.id,
                            category=item.category,
                            area=item.area,
                            kind=kind,
                            prompt="p",
                            truth="t",
                            iou=iou - loss + (noise if loss else 0),
                            same_mask_iou=iou - loss / 2 + (noise if loss else 0),
                            best_mask=int(loss > 0.05),
                            predicted_iou=iou + 0.02,
                            agreement=None if name == "float" else 0.97,
                            sibling_agreement=None,
                        )
                    )
            clicks += [
                ClickingResult(name, record.id, item.id, item.area, (0.5, 0.86 - loss, 0.95))
                for name, loss in losses.items()
            ]
        results.append(ImageResult(record.id, tuple(rows), tuple(clicks)))
    return results


@pytest.fixture
def make_report(plan, dataset):
    plan = replace(plan, clicking=True)

    def make(loss: float, **settings):
        images = made_up_images(dataset, {"float": 0.0, "int8": loss})
        chosen = {"limits": LIMITS, "seed": 0, "min_agreement": 0.9} | settings
        return summarize(plan, dataset, images, Settings(**chosen))

    return make

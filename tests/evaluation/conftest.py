"""Artifacts that answer at once and by a known rule, a small dataset, and made-up results."""

from dataclasses import replace

import numpy as np
import pytest
from box_runtime import BoxSession, write_boxes

from sqsam_deploy.datasets import bundled_dataset, subset
from sqsam_deploy.evaluation.evaluator import ImageResult
from sqsam_deploy.evaluation.gate import DriftLimits
from sqsam_deploy.evaluation.plan import EvaluationPlan, Loaded, assign_references
from sqsam_deploy.evaluation.protocols import GroundTruthBoxes, RandomPoints
from sqsam_deploy.evaluation.results import ClickingResult, ObjectResult
from sqsam_deploy.evaluation.segmenters import SessionSegmenter
from sqsam_deploy.evaluation.summary import Settings, summarize


@pytest.fixture
def sessions(tmp_path) -> dict[str, BoxSession]:
    """Of two artifacts that lie in `tmp_path`."""
    float_one = write_boxes(tmp_path / "float.boxes")
    int8 = write_boxes(tmp_path / "int8.boxes", "int8", shrink=4)
    return {"float": BoxSession(float_one), "int8": BoxSession(int8)}


@pytest.fixture
def segmenters(sessions) -> dict[str, SessionSegmenter]:
    return {name: SessionSegmenter(session) for name, session in sessions.items()}


@pytest.fixture
def plan(sessions, tmp_path) -> EvaluationPlan:
    loaded = [
        Loaded(name, tmp_path / f"{name}.boxes", "0" * 64, session.metadata)
        for name, session in sessions.items()
    ]
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

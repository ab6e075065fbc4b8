"""Sessions that answer at once and by a known rule, and a small dataset."""

from collections.abc import Mapping

import numpy as np
import pytest

from sqsam_deploy.datasets import bundled_dataset, subset
from sqsam_deploy.evaluation.plan import EvaluationPlan, Loaded, assign_references
from sqsam_deploy.evaluation.protocols import GroundTruthBoxes, RandomPoints
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
def plan(sessions, tmp_path) -> EvaluationPlan:
    loaded = [Loaded(name, tmp_path / name, "0" * 64, s.metadata) for name, s in sessions.items()]
    protocols = (GroundTruthBoxes(), RandomPoints((1, 3), seed=5))
    return EvaluationPlan(assign_references(loaded, None), protocols, clicking=False, threads=1)


@pytest.fixture(scope="session")
def small_dataset():
    return subset(bundled_dataset("sample"), 4, seed=1)

"""One image through sessions whose answers are known."""

from dataclasses import replace
from typing import ClassVar

import numpy as np
import pytest
import torch

from sqsam_deploy.datasets import Dataset
from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.evaluation.evaluator import Evaluator, Task, open_scene
from sqsam_deploy.evaluation.segmenters import SessionSegmenter
from sqsam_deploy.model.config import NANO
from sqsam_deploy.prompts import Prompt
from sqsam_deploy.runtimes.session import Session


def _expected_box_mask(box, image_hw, shrink: int) -> np.ndarray:
    """The answer of `BoxSession`, at the image's size, by torch's own interpolation."""
    height, width = image_hw
    scale = np.array([NANO.image_size / width, NANO.image_size / height] * 2)
    x0, y0, x1, y1 = np.asarray(box, np.float32) * scale
    pixels = np.arange(0, NANO.image_size, 2)
    columns = np.flatnonzero((pixels >= x0) & (pixels <= x1))
    rows = np.flatnonzero((pixels >= y0) & (pixels <= y1))
    low_res = torch.full((1, 1, NANO.mask_size, NANO.mask_size), -10.0)
    low_res[
        ...,
        rows[0] + shrink : rows[-1] + 1 - shrink,
        columns[0] + shrink : columns[-1] + 1 - shrink,
    ] = 10
    return (torch.nn.functional.interpolate(low_res, image_hw, mode="bilinear")[0, 0] > 0).numpy()


def test_ious_are_those_of_the_upsampled_best_mask_with_the_truth(plan, segmenters, small_dataset):
    record = small_dataset.images[0]
    result = Evaluator(plan, segmenters).evaluate(Task(record))
    truths = {item.id: (item.mask(), item.box) for item in record.objects}
    rows = [row for row in result.objects if row.kind == "box"]
    assert len(rows) == 2 * len(record.objects)
    for row in rows:
        truth, box = truths[row.object]
        shrink = {"float": 0, "int8": 4}[row.artifact]
        mask = _expected_box_mask(box, truth.shape, shrink)
        assert row.iou == pytest.approx((mask & truth).sum() / (mask | truth).sum(), abs=1e-9)
        assert row.best_mask == 1
        assert row.predicted_iou == pytest.approx(0.8)


def test_agreement_is_with_the_reference_at_low_resolution(plan, segmenters, small_dataset):
    result = Evaluator(plan, segmenters).evaluate(Task(small_dataset.images[0]))
    rows = [row for row in result.objects if row.kind == "1-click"]
    # Without a box the float session answers with all 128x128 pixels, int8 with 120x120 of them.
    assert {row.agreement for row in rows if row.artifact == "float"} == {None}
    agreements = [row.agreement for row in rows if row.artifact == "int8"]
    assert agreements == pytest.approx([120**2 / 128**2] * len(agreements))


def test_every_artifact_is_asked_the_same(plan, sessions, segmenters, small_dataset):
    result = Evaluator(plan, segmenters).evaluate(Task(small_dataset.images[0]))
    prompts = {name: [] for name in sessions}
    for row in result.objects:
        prompts[row.artifact].append((row.object, row.kind, row.prompt))
    assert prompts["float"] == prompts["int8"]
    assert len(set(prompts["float"])) == len(prompts["float"])


def test_prompts_do_not_depend_on_what_was_evaluated_before(plan, segmenters, small_dataset):
    forwards, backwards = Evaluator(plan, segmenters), Evaluator(plan, segmenters)
    first = [forwards.evaluate(Task(record)) for record in small_dataset]
    second = [backwards.evaluate(Task(record)) for record in small_dataset.images[::-1]][::-1]
    assert [r.objects for r in first] == [r.objects for r in second]


class Counting(SessionSegmenter):
    """Keeps the photos and prompts that it is given."""

    photos: ClassVar[list[np.ndarray]] = []
    prompts: ClassVar[list[Prompt]] = []

    def prepare(self, image):
        self.photos.append(image)
        return super().prepare(image)

    def encode(self, prompt, image_hw):
        self.prompts.append(prompt)
        return super().encode(prompt, image_hw)


def test_each_image_is_prepared_once_and_each_prompt_encoded_once(plan, sessions, small_dataset):
    record = small_dataset.images[0]
    both = {name: Counting(session) for name, session in sessions.items()}
    Evaluator(plan, both).evaluate(Task(record))
    prompts = 3 * len(record.objects)
    assert (len(Counting.photos), len(Counting.prompts)) == (1, prompts)
    assert sessions["float"].calls == sessions["int8"].calls == prompts


def test_a_broken_image_is_named_and_the_others_go_on(plan, segmenters, small_dataset, tmp_path):
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(small_dataset.images[0].path.read_bytes()[:2000])
    images = (replace(small_dataset.images[0], path=broken), small_dataset.images[1])
    results = [Evaluator(plan, segmenters).evaluate(Task(r)) for r in Dataset("two", images)]
    assert str(broken) in results[0].broken
    assert not results[0].objects
    assert results[1].broken is None
    assert results[1].objects


def test_an_object_that_cannot_be_used_does_not_cost_the_others(plan, segmenters, small_dataset):
    record = small_dataset.images[0]
    other = small_dataset.images[1].objects[0]
    wrong = replace(record.objects[0], source=other.source)
    evaluator = Evaluator(plan, segmenters)
    mixed = evaluator.evaluate(Task(replace(record, objects=(wrong, *record.objects[1:]))))
    assert {row.object for row in mixed.objects} == {item.id for item in record.objects[1:]}
    assert [problem.cost for problem in mixed.problems] == ["object"]
    assert "size" in evaluator.evaluate(Task(replace(record, objects=(wrong,)))).broken


def test_an_artifact_that_fails_is_named(plan, sessions, segmenters, small_dataset):
    class Failing(Session):
        metadata = sessions["int8"].metadata

        def execute(self, feeds):
            masks = np.full((1, NANO.num_masks, NANO.mask_size, NANO.mask_size), np.nan)
            return {"low_res_masks": masks, "iou_predictions": np.zeros((1, NANO.num_masks))}

    evaluator = Evaluator(plan, segmenters | {"int8": SessionSegmenter(Failing())})
    with pytest.raises(ArtifactError, match=r"^int8: .*not finite"):
        evaluator.evaluate(Task(small_dataset.images[0]))


def test_simulated_clicking_runs_each_artifact_on_its_own_mistakes(
    plan, sessions, segmenters, small_dataset
):
    record = small_dataset.images[0]
    clicking = replace(plan, protocols=(), clicking=True)
    result = Evaluator(clicking, segmenters).evaluate(Task(record))
    assert [(row.object, row.artifact) for row in result.clicking] == [
        (item.id, name) for item in record.objects for name in sessions
    ]
    truths = {item.id: item.mask() for item in record.objects}
    # Without a box `BoxSession` marks nearly everything, and no click changes that.
    for row in result.clicking:
        truth = truths[row.object]
        everything = (0, 0, truth.shape[1], truth.shape[0])
        mask = _expected_box_mask(everything, truth.shape, {"float": 0, "int8": 4}[row.artifact])
        iou = (mask & truth).sum() / (mask | truth).sum()
        assert row.ious == pytest.approx([iou] * (1 if iou >= 0.9 else 20), abs=1e-9)


def test_a_scene_holds_one_mask_an_object(small_dataset):
    record = small_dataset.images[0]
    scene = open_scene(record)
    assert scene.image.shape == (record.height, record.width, 3)
    assert len(record.objects) == len(scene.masks) > 0
    for mask, item in zip(scene.masks, record.objects, strict=True):
        np.testing.assert_array_equal(mask, item.mask())

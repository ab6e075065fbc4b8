"""Answers of the float artifact that one run leaves for the next."""

from dataclasses import replace

import pytest

from sqsam_deploy.datasets import Dataset
from sqsam_deploy.errors import DataError
from sqsam_deploy.evaluation.answers import CACHE_NAME
from sqsam_deploy.evaluation.detections import Detection
from sqsam_deploy.evaluation.protocols import DetectorBoxes, GroundTruthBoxes, RandomPoints
from sqsam_deploy.evaluation.runner import run_plan


@pytest.fixture
def full_plan(plan, small_dataset):
    """Boxes, clicks, a detector's boxes of which some match nothing, and simulated clicking."""
    record = small_dataset.images[0]
    boxes = [item.box for item in record.objects] + [(0.0, 0.0, 9.0, 9.0)]
    found = {record.id: [Detection(1, "thing", box, 0.5) for box in boxes]}
    protocols = (GroundTruthBoxes(), RandomPoints((1, 3), seed=5), DetectorBoxes(found))
    return replace(plan, protocols=protocols, clicking=True)


def _rows(run):
    return [(r.objects, r.clicking, r.segments, r.broken) for r in run.images]


def test_a_second_run_asks_the_float_artifact_nothing_and_finds_the_same(
    full_plan, sessions, small_dataset, tmp_path
):
    two = Dataset("two", small_dataset.images[:2])
    plain = run_plan(full_plan, two, tmp_path / "plain")
    kept = run_plan(full_plan, two, tmp_path / "first", cache=tmp_path / "cache")
    asked = {name: session.calls for name, session in sessions.items()}
    again = run_plan(full_plan, two, tmp_path / "second", cache=tmp_path / "cache")
    assert sessions["float"].calls == asked["float"]
    assert sessions["int8"].calls > asked["int8"]
    assert _rows(plain) == _rows(kept) == _rows(again)


def test_other_weights_prompts_or_masks_are_asked_again(plan, sessions, small_dataset, tmp_path):
    cache = tmp_path / "cache"

    def float_calls(asked, dataset, name):
        before = sessions["float"].calls
        run_plan(asked, dataset, tmp_path / name, cache=cache)
        return sessions["float"].calls - before

    all_of_them = float_calls(plan, small_dataset, "first")
    assert float_calls(plan, small_dataset, "same") == 0
    other = replace(plan.artifacts[0], sha256="1" * 64)
    assert (
        float_calls(replace(plan, artifacts=(other, *plan.artifacts[1:])), small_dataset, "w") > 0
    )
    seeded = replace(plan, protocols=(plan.protocols[0], RandomPoints((1, 3), seed=6)))
    assert float_calls(seeded, small_dataset, "prompts") == all_of_them
    # The data set states the same of an object whose mask has become another's.
    record = next(r for r in small_dataset if len(r.objects) > 1)
    first, second = record.objects[:2]
    swapped = replace(record, objects=(replace(first, source=second.source), *record.objects[1:]))
    assert float_calls(plan, Dataset("changed", (swapped,)), "masks") > 0


def test_a_damaged_file_is_named(plan, small_dataset, tmp_path):
    (tmp_path / CACHE_NAME).write_bytes(b"no database" * 100)
    with pytest.raises(DataError, match=CACHE_NAME):
        run_plan(plan, small_dataset, tmp_path / "run", cache=tmp_path)

from dataclasses import replace

import numpy as np
import pytest

from sqsam_deploy.evaluation.evaluator import open_scene
from sqsam_deploy.evaluation.whole_objects import WholeObjects, lower_third, nested_parts


def _box(x0: int, y0: int, x1: int, y1: int) -> np.ndarray:
    mask = np.zeros((90, 60), bool)
    mask[y0:y1, x0:x1] = True
    return mask


def test_the_lower_third_is_that_of_the_mask_and_of_persons():
    person = _box(10, 0, 30, 90)
    assert np.array_equal(lower_third(person, "person"), _box(10, 60, 30, 90))
    assert lower_third(person, "dog") is None


def test_of_nested_masks_the_one_farthest_from_the_center_is_the_part():
    whole, near, far = _box(0, 0, 60, 90), _box(25, 40, 35, 50), _box(0, 0, 10, 10)
    outside, too_large = _box(50, 80, 60, 90), _box(0, 0, 60, 60)
    parts = nested_parts([whole, near, far])
    assert np.array_equal(parts[0], far)
    assert parts[1:] == [None, None]
    assert nested_parts([_box(0, 0, 50, 80), outside]) == [None, None]
    assert nested_parts([whole, too_large]) == [None, None]
    assert nested_parts([]) == []


def test_a_mask_that_reaches_out_a_little_is_cut_to_the_whole():
    whole, part = _box(0, 0, 60, 50), _box(0, 41, 10, 51)
    found = nested_parts([whole, part])[0]
    assert np.array_equal(found, part & whole)


@pytest.fixture
def scene(small_dataset):
    return open_scene(max(small_dataset, key=lambda record: len(record.objects)))


def test_a_click_falls_on_the_part_and_means_the_whole(scene):
    whole = np.zeros(scene.image_hw, bool)
    whole[20:200, 30:150] = True
    part = np.zeros_like(whole)
    part[20:60, 30:60] = True
    first, second = scene.record.objects[:2]
    objects = (replace(first, category="person"), replace(second, category="hat"))
    made = replace(scene, masks=(whole, part), record=replace(scene.record, objects=objects))
    queries = {query.kind: query for query in WholeObjects(seed=3).queries(made)}
    assert set(queries) == {"lower-third", "nested-part"}
    for kind, area in (
        ("lower-third", np.s_[140:200, 30:150]),
        ("nested-part", np.s_[20:60, 30:60]),
    ):
        (x, y), allowed = queries[kind].prompt.point_coords[0].astype(int), np.zeros_like(whole)
        allowed[area] = True
        assert allowed[y, x]
        assert queries[kind].target == 0
    again = {query.kind: query for query in WholeObjects(seed=3).queries(made)}
    coords = [query.prompt.point_coords.tolist() for query in queries.values()]
    assert coords == [query.prompt.point_coords.tolist() for query in again.values()]

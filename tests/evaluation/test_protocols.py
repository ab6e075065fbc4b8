from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from sqsam_deploy.evaluation.detections import Detection
from sqsam_deploy.evaluation.evaluator import open_scene
from sqsam_deploy.evaluation.protocols import (
    DetectorBoxes,
    GroundTruthBoxes,
    RandomPoints,
    SaliencyPoints,
)


@pytest.fixture
def scene(small_dataset):
    return open_scene(max(small_dataset, key=lambda record: len(record.objects)))


def test_every_object_is_asked_with_its_own_box(scene):
    queries = list(GroundTruthBoxes().queries(scene))
    boxes = [item.box for item in scene.record.objects]
    assert [query.prompt.box for query in queries] == boxes
    assert [query.target for query in queries] == list(range(len(boxes)))


def test_one_click_is_the_first_of_the_three(scene):
    queries = list(RandomPoints((1, 3), seed=2).queries(scene))
    for single, triple in zip(queries[::2], queries[1::2], strict=True):
        assert (single.kind, triple.kind) == ("1-click", "3-clicks")
        assert single.target == triple.target
        assert np.array_equal(single.prompt.point_coords, triple.prompt.point_coords[:1])
        columns, rows = triple.prompt.point_coords.astype(int).T
        assert scene.masks[triple.target][rows, columns].all()
        assert triple.prompt.point_labels.tolist() == [1, 1, 1]


def test_jitter_moves_the_same_points(scene):
    exact = list(RandomPoints((3,), seed=2).queries(scene))
    moved = list(RandomPoints((3,), seed=2, jitter=4.0).queries(scene))
    offsets = [
        b.prompt.point_coords - a.prompt.point_coords for a, b in zip(exact, moved, strict=True)
    ]
    assert 0.5 < np.abs(offsets).mean() < 8


def test_detections_without_an_object_are_asked_but_mean_none(scene):
    item = scene.record.objects[1]
    detections = (
        Detection(1, item.category, item.box, 0.9),
        Detection(1, "no such category", item.box, 0.5),
    )
    queries = list(DetectorBoxes({scene.record.id: detections}).queries(scene))
    assert [query.target for query in queries] == [1, None]
    assert [query.detection for query in queries] == list(detections)
    assert not list(DetectorBoxes({}).queries(scene))


def test_saliency_asks_about_the_salient_object_with_1_and_3_of_its_points(scene, tmp_path):
    largest = max(range(len(scene.masks)), key=lambda i: scene.masks[i].sum())
    saliency = (scene.masks[largest] * 255).astype(np.uint8)
    Image.fromarray(saliency).save(tmp_path / f"{scene.record.path.stem}.png")
    one, three = SaliencyPoints(tmp_path).queries(scene)
    assert (one.kind, three.kind) == ("saliency-1", "saliency-3")
    assert one.target == three.target == largest
    assert (len(one.prompt.point_labels), len(three.prompt.point_labels)) == (1, 3)


def test_saliency_asks_about_large_objects_alone(scene, tmp_path):
    largest = max(range(len(scene.masks)), key=lambda i: scene.masks[i].sum())
    saliency = (scene.masks[largest] * 255).astype(np.uint8)
    Image.fromarray(saliency).save(tmp_path / f"{scene.record.path.stem}.png")
    objects = list(scene.record.objects)
    objects[largest] = replace(objects[largest], area=96**2 - 1)
    medium = replace(scene, record=replace(scene.record, objects=tuple(objects)))
    assert list(SaliencyPoints(tmp_path).queries(medium)) == []


def test_saliency_that_means_no_annotated_object_asks_nothing(scene, tmp_path):
    nowhere = np.zeros(scene.image_hw, np.uint8)
    nowhere[:3, :3] = 255
    Image.fromarray(nowhere).save(tmp_path / f"{scene.record.path.stem}.png")
    assert not scene.masks[0][:3, :3].any()
    assert list(SaliencyPoints(tmp_path).queries(scene)) == []

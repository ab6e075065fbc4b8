"""The whole job on COCO and LVIS files, with artifacts whose answers are known."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from sqsam_deploy.datasets import open_dataset, subset
from sqsam_deploy.evaluation.request import ParityRequest
from sqsam_deploy.evaluation.results import read_results
from sqsam_deploy.report.parity import evaluate
from sqsam_deploy.report.parity_paper_tables import paper_tables


@pytest.fixture
def request_for(sessions, tmp_path, shared):
    """A request about two artifacts and ten images of coco_mini."""
    annotations = shared / "data" / "coco_mini" / "annotations"
    request = ParityRequest(
        tmp_path,
        output=tmp_path / "report",
        dataset=annotations / "instances_mini2017.json",
        prompts="box",
        count=10,
        jobs=1,
    )
    return lambda **changes: replace(request, **changes)


def _write_detections(dataset: Path, path: Path, count: int) -> Path:
    """The annotated boxes as a detector would give them, all sure."""
    content = json.loads(dataset.read_bytes())
    drawn = {record.id for record in subset(open_dataset(dataset), count, 0)}
    boxes = [
        {
            "image_id": a["image_id"],
            "category_id": a["category_id"],
            "bbox": a["bbox"],
            "score": 0.9,
        }
        for a in content["annotations"]
        if str(a["image_id"]) in drawn and not a.get("iscrowd")
    ]
    path.write_text(json.dumps(boxes))
    return path


@pytest.mark.parametrize("name", ["instances_mini2017.json", "lvis_schema_from_coco_mini.json"])
def test_a_detector_s_boxes_give_table_1_with_ap(request_for, tmp_path, name):
    request = request_for()
    request = replace(request, dataset=request.dataset.with_name(name))
    detections = _write_detections(request.dataset, tmp_path / "boxes.json", count=10)
    outcome = evaluate(replace(request, detections=detections))
    report = outcome.report
    assert report.prompts == ("box", "detector-box")
    exact, detected = report.artifacts["float.boxes"].miou
    # A detector that is always right asks with the dataset's own boxes.
    assert detected.objects <= exact.objects
    assert detected.overall == pytest.approx(exact.overall, abs=1.5)
    better, worse = (report.artifacts[f"{n}.boxes"].average_precision for n in ("float", "int8"))
    assert 0 < worse.ap < better.ap < 100
    table = next(t for t in paper_tables(report) if t.title.startswith("Table 1"))
    assert table.columns[3] == "AP"
    assert table.rows[-2][3] == f"{better.ap:.2f}"


def test_lvis_masks_are_taken_where_they_replace_coco_s(request_for, shared):
    lvis = shared / "data" / "coco_mini" / "annotations" / "lvis_v0.5_val_7imgs.json"
    report = evaluate(request_for(lvis=lvis)).report
    assert report.dataset.name == "instances_mini2017 with lvis_v0.5_val_7imgs"
    assert report.dataset.images == 10


def test_every_row_is_kept_for_later(request_for):
    request = request_for(prompts="box,1-click")
    outcome = evaluate(request)
    rows = read_results(request.output / "parity-objects.csv")
    assert len(rows) == 2 * 2 * outcome.report.dataset.objects
    again = evaluate(replace(request, baseline=request.output, output=request.output / "b"))
    for artifact in again.report.artifacts.values():
        assert artifact.baseline.drift.mean == 0
        assert artifact.baseline.objects == outcome.report.dataset.objects


def test_persons_give_table_3(request_for):
    report = evaluate(request_for(category="person", single_object=True, count=4)).report
    assert (report.dataset.images, report.dataset.objects) == (4, 4)
    assert report.dataset.category == "person"
    table = next(t for t in paper_tables(report) if t.title.startswith("Table 3"))
    assert table.rows[0][1] == "80"
    own = {row[0]: row[2] for row in table.rows}["float.boxes"]
    assert own == f"{report.artifacts['float.boxes'].miou[0].overall:.2f}"


def test_other_objects_give_no_table_of_persons(request_for):
    report = evaluate(request_for()).report
    assert not any(t.title.startswith("Table 3") for t in paper_tables(report))

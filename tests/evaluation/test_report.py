"""From results to `parity.json`."""

import json
from dataclasses import replace

import jsonschema
import pytest

from sqsam_deploy.errors import DataError
from sqsam_deploy.evaluation.evaluator import ImageResult
from sqsam_deploy.evaluation.gate import DriftLimits
from sqsam_deploy.evaluation.report import SCHEMA_FILE, ParityReport, write_report
from sqsam_deploy.evaluation.summary import Settings, summarize
from sqsam_deploy.release.evidence import read_parity
from sqsam_deploy.report.parity_tables import problems
from sqsam_deploy.report.parity_text import markdown
from tests.evaluation.conftest import LIMITS, made_up_images


def _gates(report, measure: str = "drift", name: str = "int8") -> dict:
    gates = report.artifacts[name].gates
    return {gate.kind: gate for gate in gates if gate.measure == measure}


@pytest.mark.parametrize(
    ("loss", "outcome"), [(0.002, "passed"), (0.02, "undecided"), (0.05, "failed")]
)
def test_every_kind_is_judged_by_its_bound(make_report, loss, outcome):
    report = make_report(loss)
    gates = _gates(report)
    assert list(gates) == ["box", "1-click", "3-clicks"]
    assert {gate.outcome for gate in gates.values()} == {outcome}
    assert report.outcome == outcome
    assert report.passed == report.artifacts["int8"].passed == (outcome == "passed")
    for gate in gates.values():
        assert gate.estimate.mean == pytest.approx(100 * loss, abs=0.3)
        assert gate.bound > gate.estimate.mean
        assert gate.images == 63
        assert (gate.images_needed is not None) == (outcome == "undecided")


def test_one_kind_that_lost_is_enough(plan, dataset):
    """A loss by one click only is a third of it in the mean over kinds, and within the limit."""
    images = [
        replace(
            image,
            objects=tuple(
                replace(row, iou=row.iou - 0.06, same_mask_iou=row.iou - 0.06)
                if (row.artifact, row.kind) == ("int8", "1-click")
                else row
                for row in image.objects
            ),
        )
        for image in made_up_images(dataset, {"float": 0.0, "int8": 0.0})
    ]
    report = summarize(plan, dataset, images, Settings(LIMITS, seed=0, min_agreement=0.9))
    assert report.artifacts["int8"].drift.mean == pytest.approx(2)
    outcomes = {kind: gate.outcome for kind, gate in _gates(report).items()}
    assert outcomes == {"box": "passed", "1-click": "failed", "3-clicks": "passed"}
    assert report.outcome == "failed"


def test_limits_may_differ_by_kind(make_report):
    report = make_report(0.02, limits=DriftLimits(10.0, (("1-click", 4.0),)))
    outcomes = {kind: gate.outcome for kind, gate in _gates(report).items()}
    assert outcomes == {"box": "passed", "1-click": "undecided", "3-clicks": "passed"}
    assert report.max_drift == {"box": 10, "1-click": 4, "3-clicks": 10}


def test_a_changed_mask_and_another_choice_are_judged_apart(make_report):
    report = make_report(0.1)
    for measure in ("mask drift", "choice drift"):
        (mean,) = {round(g.estimate.mean) for g in _gates(report, measure).values()}
        assert mean == 5


def test_a_mask_that_got_worse_is_not_hidden_by_a_better_choice(plan, dataset):
    images = [
        replace(
            image,
            objects=tuple(
                replace(row, same_mask_iou=row.iou - 0.08) if row.artifact == "int8" else row
                for row in image.objects
            ),
        )
        for image in made_up_images(dataset, {"float": 0.0, "int8": 0.0})
    ]
    report = summarize(plan, dataset, images, Settings(LIMITS, seed=0, min_agreement=0.9))
    assert {gate.outcome for gate in _gates(report).values()} == {"passed"}
    assert {gate.outcome for gate in _gates(report, "mask drift").values()} == {"failed"}
    assert report.outcome == "failed"


def test_masks_that_agree_too_little_fail_without_any_drift(make_report):
    report = make_report(0.002, min_agreement=0.98)
    assert {gate.outcome for gate in _gates(report).values()} == {"passed"}
    assert {gate.outcome for gate in _gates(report, "disagreement").values()} == {"failed"}
    assert report.outcome == "failed"
    assert any("0.030" in sentence and "0.02" in sentence for sentence in problems(report))
    assert make_report(0.002, min_agreement=0.93).outcome == "passed"


def test_objects_that_lost_much_are_counted_apart(make_report):
    losses = make_report(0.3).artifacts["int8"].large_losses
    assert (losses.objects_lost, losses.objects, losses.objects_bound) == (281, 281, 1)
    losses = make_report(0.002).artifacts["int8"].large_losses
    assert (losses.objects_lost, losses.images_lost) == (0, 0)
    # The rule of three, exactly: 1 - 0.025^(1/n).
    assert losses.objects_bound == pytest.approx(1 - 0.025 ** (1 / 281))
    assert losses.images_bound == pytest.approx(1 - 0.025 ** (1 / 63))


def test_the_reference_has_no_drift_and_no_gate(make_report):
    reference = make_report(0.002).artifacts["float"]
    assert (reference.drift.mean, reference.gates, reference.agreement) == (0, (), None)


def test_other_numbers_are_means_over_the_rows(make_report):
    artifact = make_report(0.1).artifacts["int8"]
    assert artifact.agreement.mean == pytest.approx(0.97)
    assert artifact.agreement.best_mask_changed == 1
    assert artifact.predicted_iou_error == pytest.approx(100 * 0.12, abs=0.2)
    assert [row.kind for row in artifact.miou] == ["box", "1-click", "3-clicks"]
    noc = {entry.target: entry for entry in artifact.clicking}
    # The float reference reaches 85% with its second click, this artifact with its third.
    assert (noc[85].clicks, noc[85].added.mean, noc[85].failed) == (3, 1, 0)


def test_a_worse_build_than_the_last_release_fails_though_float_is_as_bad(plan, dataset):
    earlier = [
        row for i in made_up_images(dataset, {"float": 0.0, "int8": 0.0}) for row in i.objects
    ]
    images = made_up_images(dataset, {"float": 0.05, "int8": 0.05})
    settings = Settings(LIMITS, seed=0, min_agreement=0.9, baseline=tuple(earlier))
    report = summarize(plan, dataset, images, settings)
    assert {gate.outcome for gate in _gates(report).values()} == {"passed"}
    since = _gates(report, "drift since baseline")
    assert {gate.outcome for gate in since.values()} == {"failed"}
    assert report.artifacts["int8"].baseline.drift.mean == pytest.approx(5, abs=0.3)
    assert _gates(report, "drift since baseline", "float")
    assert report.outcome == "failed"


def test_a_baseline_without_an_artifact_is_refused(plan, dataset):
    earlier = [row for image in made_up_images(dataset, {"float": 0.0}) for row in image.objects]
    images = made_up_images(dataset, {"float": 0.0, "int8": 0.0})
    with pytest.raises(DataError, match=r"no results of int8.*--only"):
        summarize(plan, dataset, images, Settings(LIMITS, seed=0, baseline=tuple(earlier)))


def test_a_baseline_of_fewer_photos_is_refused(plan, dataset):
    images = made_up_images(dataset, {"float": 0.0, "int8": 0.0})
    earlier = tuple(row for image in images[:2] for row in image.objects)
    with pytest.raises(DataError, match=r"did not ask the same.*--count"):
        summarize(plan, dataset, images, Settings(LIMITS, seed=0, baseline=earlier))


def test_other_weights_are_pointed_out(make_report):
    report = make_report(0.002)
    assert not problems(report)
    int8 = report.artifacts["int8"].model_copy(update={"weights_sha256": "1" * 64})
    artifacts = report.artifacts | {"int8": int8}
    (sentence,) = problems(report.model_copy(update={"artifacts": artifacts}))
    assert sentence.startswith("int8 was made of other weights than float")


def test_broken_images_are_counted_and_named(plan, dataset):
    images = made_up_images(dataset, {"float": 0.0, "int8": 0.0})
    images[3] = ImageResult(dataset.images[3].id, broken="image x.jpg cannot be read")
    report = summarize(plan, dataset, images, Settings(LIMITS, seed=0))
    assert report.dataset.images == len(dataset) - 1
    assert [b.reason for b in report.dataset.broken] == ["image x.jpg cannot be read"]
    assert "image x.jpg cannot be read" in markdown(report)


def test_a_dataset_of_broken_images_is_an_error(plan, dataset):
    images = [ImageResult(record.id, broken="gone") for record in dataset]
    with pytest.raises(DataError, match="no image could be used; the first one: gone"):
        summarize(plan, dataset, images, Settings(LIMITS, seed=0))


def test_the_shipped_schema_is_the_reports_own_and_holds_for_one(make_report):
    shipped = SCHEMA_FILE.read_text()
    assert json.loads(shipped) == ParityReport.model_json_schema(by_alias=True)
    content = json.loads(make_report(0.002).model_dump_json(by_alias=True))
    jsonschema.validate(content, json.loads(shipped))
    content["artifacts"]["int8"]["gates"][0]["outcome"] = "perhaps"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(content, json.loads(shipped))


def test_the_file_is_what_publishing_reads(make_report, tmp_path):
    report = make_report(0.002)
    write_report(tmp_path / "parity.json", report)
    read = read_parity(tmp_path / "parity.json")
    assert read.passed is True
    assert read.artifacts["int8"].drift.mean == report.artifacts["int8"].drift.mean
    content = (tmp_path / "parity.json").read_bytes()
    assert ParityReport.model_validate_json(content) == report

import hashlib

import pytest

from sqsam_deploy.artifact.manifest import (
    ArtifactEntry,
    FileEntry,
)
from sqsam_deploy.benchmark.phones.checks import check_phone_result
from sqsam_deploy.benchmark.result import (
    BenchmarkResult,
    Device,
    Environment,
    Measurement,
    Method,
    NotMeasured,
    PlannedOperations,
    Setup,
    Subject,
    Summary,
    Timing,
)
from sqsam_deploy.benchmark.tables import latency_table
from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.model.config import preset
from sqsam_deploy.model.description import describe
from tests import fakes
from tests.benchmark.results import CREATED, rounds_around

SHA = hashlib.sha256(b"artifact").hexdigest()
NAME = "paper-int8.pte"


@pytest.fixture(scope="module")
def manifest():
    metadata = describe(
        preset("paper"), runtime="executorch", precision="int8", weights_sha256="0" * 64
    )
    entry = ArtifactEntry(
        path=NAME,
        files=(FileEntry(path=NAME, bytes=8, sha256=SHA),),
        metadata=metadata,
        agreement=fakes.AGREEMENT,
        minimum_runtime="1.0",
    )
    manifest = fakes.manifest_of(entry)
    return manifest.model_copy(update={"name": "squeezesam-paper", "preset": "paper"})


def _subject(**changes):
    usual = {"runtime": "executorch", "precision": "int8", "preset": "paper", "sha256": SHA}
    return Subject(name=NAME, role="artifact", bytes=8, **{**usual, **changes})


def _row(rounds=None, of=None, **changes):
    stages = changes.pop("stages", {"inference": Timing(rounds=rounds or rounds_around(300))})
    usual = {"thermal": ("nominal", "fair"), "low_power": False}
    return Measurement(
        subject=of or _subject(),
        setup=Setup(compute="cpu", threads=2),
        stages=stages,
        **{**usual, **changes},
    )


def _phone(*rows, model="iPhone14,7", build="release", kind="iphone"):
    return BenchmarkResult(
        created=CREATED,
        tool="ios_harness",
        device=Device(kind=kind, name="iPhone 14", model=model, system="iOS 18.1", cores=6),
        environment=Environment(build=build),
        method=Method(rounds=12, interleaved=True),
        measurements=rows,
    )


def test_a_sound_result_is_taken_in_and_worked_out(manifest):
    checked = check_phone_result(_phone(_row()), [manifest])
    [row] = checked.measurements
    assert row.inference.summary.median.value == pytest.approx(300, rel=0.01)
    assert row.subject.macs == 26_493_196_544
    assert row.noise.believable


def test_medians_the_file_claims_are_not_believed(manifest):
    claimed = {"value": 1.0, "low": 1.0, "high": 1.0}
    summary = Summary(median=claimed, p90=1, p99=1, samples=60)
    timing = Timing(rounds=rounds_around(300), summary=summary)
    checked = check_phone_result(_phone(_row(stages={"inference": timing})), [manifest])
    assert checked.measurements[0].inference.summary.median.value > 290


REPEATED = tuple((300.0, 301.0) for _ in range(20))
STAGES = {
    "inference": Timing(rounds=rounds_around(300)),
    "preprocess": Timing(rounds=rounds_around(20)),
    "total": Timing(rounds=rounds_around(310)),
}


@pytest.mark.parametrize(
    ("result", "message"),
    [
        (_phone(), "holds no measurement"),
        (_phone(_row(), kind="cpu"), "only results of phones"),
        (_phone(_row(), model="arm64"), "simulator"),
        (_phone(_row(), build="debug"), "release build"),
        (_phone(_row(of=_subject(sha256="1" * 64))), "another file was measured"),
        (_phone(_row(of=_subject(precision="fp32"))), "is not the manifest's"),
        (_phone(_row(rounds=rounds_around(300, rounds=3))), "15 samples, at least 20"),
        (_phone(_row(rounds=rounds_around(0.1))), "beyond any phone: 0.662 at best"),
        (_phone(_row(rounds=rounds_around(90_000))), "is no inference"),
        (_phone(_row(rounds=REPEATED)), "repeat each other"),
        (_phone(_row(stages=STAGES)), "totals are shorter"),
        (_phone(_row(thermal=None)), "thermal state was not recorded"),
        (_phone(_row(low_power=None)), "low power mode"),
    ],
)
def test_an_implausible_result_is_refused(manifest, result, message):
    with pytest.raises(ArtifactError, match=message):
        check_phone_result(result, [manifest])


def test_a_result_without_a_row_tells_why_each_failed(manifest):
    failed = NotMeasured(subject=NAME, setup="cpu", reason="the program does not load")
    result = _phone().model_copy(update={"not_measured": (failed,)})
    with pytest.raises(ArtifactError, match=f"{NAME} cpu: the program does not load"):
        check_phone_result(result, [manifest])


def test_the_plan_of_a_row_is_kept_and_shown(manifest):
    planned = (
        PlannedOperations(operation="ios17.conv", unit="neuralEngine", count=30, cost=0.75),
        PlannedOperations(operation="ios17.softmax", unit="cpu", count=2, cost=0.25),
    )
    checked = check_phone_result(_phone(_row(planned=planned)), [manifest])
    assert checked.measurements[0].planned == planned
    (note,) = (line for line in latency_table(checked).notes if line.startswith("Planned"))
    assert "neuralEngine 75%, cpu 25%" in note


def test_an_artifact_no_manifest_lists_is_refused(manifest):
    other = _row(of=_subject().model_copy(update={"name": "other.pte"}))
    with pytest.raises(ArtifactError, match=r"other\.pte: no manifest lists"):
        check_phone_result(_phone(other), [manifest])


def test_a_hot_phone_is_taken_in_with_its_doubt(manifest):
    hot = _row(thermal=("nominal", "critical"))
    [row] = check_phone_result(_phone(hot), [manifest]).measurements
    assert row.noise.reasons == ("the device reported the thermal state 'critical'",)

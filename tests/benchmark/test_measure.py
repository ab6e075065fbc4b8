import shutil
import time
from pathlib import Path

import pytest

from sqsam_deploy.benchmark.compare import compare_interleaved
from sqsam_deploy.benchmark.macs import preset_work
from sqsam_deploy.benchmark.measure import MeasurementPlan, measure, step_count, turn_length
from sqsam_deploy.benchmark.subjects import RunnableSubject
from sqsam_deploy.benchmark.suite import measure_pairs
from sqsam_deploy.errors import ArtifactError, UsageError
from tests.benchmark.results import subject, write_product
from tests.fakes import RecordedSteps
from tests.release.export_builder import keep_artifacts


@pytest.fixture(scope="module")
def products(tmp_path_factory):
    """A product and one of eight times its work, as targets."""
    folder = tmp_path_factory.mktemp("products")
    return [_product(folder / f"{side}.onnx", side) for side in (128, 256)]


def _product(path, side):
    write_product(path, side)
    of = subject(path.name, "peer", runtime="onnx", precision="fp32", preset=None, macs=side**3)
    return RunnableSubject(of, "plain", str(path))


@pytest.fixture(scope="module")
def run(products, tmp_path_factory):
    missing = str(tmp_path_factory.mktemp("none") / "missing.onnx")
    broken = RunnableSubject(subject("missing.onnx", "peer", runtime="onnx"), "plain", missing)
    plan = MeasurementPlan(threads=(1,), rounds=4, processes=2, turn_ms=5, photos=1, profiled=2)
    steps = RecordedSteps()
    return measure([*products, broken], plan, steps), steps, plan


def test_every_subject_has_every_round_and_every_process(run):
    result, _, plan = run
    assert [item.subject.name for item in result.measurements] == ["128.onnx", "256.onnx"]
    for item in result.measurements:
        assert len(item.inference.rounds) == plan.rounds
        assert all(len(taken) >= 2 for taken in item.inference.rounds)
        assert len(item.load) == len(item.first) == plan.processes
        assert item.inference.processes == (0, 0, 1, 1)
        assert item.inference.summary.median.value > 0
        assert item.noise is not None


def test_memory_holds_the_weights_and_never_more_than_the_peak(run):
    for item in run[0].measurements:
        assert len(item.memory) == 2
        for memory in item.memory:
            assert memory.loaded <= memory.peak
            assert memory.before <= memory.peak


@pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="Linux counts them")
def test_memory_is_read_before_loading_after_and_after_the_first_inference(run):
    for item in run[0].measurements:
        memory = item.memory[0]
        readings = (memory.before_loading, memory.after_loading, memory.after_first, memory.at_end)
        for reading in readings:
            assert 0 < reading.uss <= reading.pss <= reading.rss
        # The kernel counts the peak in steps.
        assert memory.at_end.rss <= 1.05 * memory.peak


def test_a_subject_that_fails_is_listed_with_its_reason(run):
    [row] = run[0].not_measured
    assert row.subject == "missing.onnx"
    assert row.reason.startswith("missing.onnx cannot be loaded by ONNX Runtime")


def test_profiles_are_taken_of_the_whole_network(run):
    operators = {cost.operator for cost in run[0].measurements[0].profile.operators}
    assert "MatMul" in operators


def test_environment_is_part_of_the_result(run):
    result = run[0]
    assert result.device.kind == "cpu"
    assert len(result.environment.foreign_cpu) in (0, 4)
    assert "onnxruntime" in result.environment.versions


def test_steps_are_as_many_as_announced(run, products):
    _, steps, plan = run
    # The broken target ends its own start at the first try and is never profiled.
    assert len(steps.begun) == step_count(products, plan) + 1


def test_nothing_measured_is_an_error(tmp_path):
    target = RunnableSubject(subject("x.onnx", runtime="onnx"), "plain", str(tmp_path / "x.onnx"))
    with pytest.raises(ArtifactError, match=r"nothing could be measured: .*x\.onnx"):
        measure([target], MeasurementPlan(threads=(1,), rounds=3, processes=1))


def test_a_pair_of_directories_takes_turns_and_names_its_sides(nano_export, tmp_path):
    after = shutil.copytree(nano_export, tmp_path / "after")
    kept = "nano-int8.onnx"
    keep_artifacts(after, kept.__eq__)
    plan = MeasurementPlan(threads=(1,), rounds=2, processes=2, turn_ms=5, photos=1, profiled=0)
    measured, names = measure_pairs(nano_export, after, plan)
    assert names == [(f"A/{kept}", f"B/{kept}")]
    assert [item.subject.name for item in measured.measurements] == list(names[0])
    [row] = compare_interleaved(measured, names)
    assert row.name == kept
    assert row.ratio.low < row.ratio.value < row.ratio.high


def test_directories_without_a_common_artifact_are_not_compared(nano_export, tmp_path):
    other = shutil.copytree(nano_export, tmp_path / "other")
    keep_artifacts(other, lambda path: False)
    with pytest.raises(ArtifactError, match="no artifact"):
        measure_pairs(nano_export, other, MeasurementPlan(threads=(1,)))


def test_two_subjects_of_one_name_are_refused(products):
    with pytest.raises(UsageError, match=r"two subjects are called 128\.onnx"):
        measure([products[0], products[0]], MeasurementPlan(threads=(1,)))


@pytest.mark.parametrize(("inference_ms", "expected"), [(70, 3), (400, 2), (1, 50), (0, 50)])
def test_turns_last_long_enough_without_end(inference_ms, expected):
    assert turn_length(inference_ms, turn_ms=150) == expected


def test_torch_with_random_weights_times_all_stages():
    from sqsam_deploy.benchmark.channel import Worker
    from sqsam_deploy.benchmark.jobs import Job

    with Worker(Job(kind="network", target="nano", threads=1, photos=2)) as worker:
        start = time.perf_counter()
        samples = worker.run(2)
        wall = 1e3 * (time.perf_counter() - start)
    parts = {stage: sum(times) for stage, times in samples.stages.items()}
    assert {len(times) for times in samples.stages.values()} == {2}
    total = parts.pop("total")
    # Both contain an inference, and the first one a large photo that is resized.
    first, following = parts.pop("first_mask"), parts.pop("next_mask")
    assert 0 < following < wall and 0 < first < wall
    assert set(parts) == {"preprocess", "inference", "postprocess"}
    assert all(0 < part < total for part in parts.values())
    assert total <= wall
    # No processor core does 4 TFLOP/s in single precision.
    assert (
        parts["inference"]
        > 1e3 * len(samples.stages["total"]) * 2 * preset_work("nano").macs / 4e12
    )

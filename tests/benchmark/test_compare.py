import pytest

from sqsam_deploy.benchmark.compare import Verdict, compare, compare_interleaved, overall
from sqsam_deploy.benchmark.result import Device
from sqsam_deploy.errors import ArtifactError
from tests.benchmark.results import measurement, result, subject


def _run(ms, *, name="nano-int8.pte", seed=0, spread=0.002, **changes):
    return result(measurement(subject(name), ms, seed=seed, spread=spread), **changes)


def _interleaved(*pairs):
    """One run with A and B of each pair of (ms, ms, spread)."""
    items, names = [], []
    for index, (before, after, spread) in enumerate(pairs):
        names.append((f"A/{index}", f"B/{index}"))
        for side, ms in enumerate((before, after)):
            name, seed = names[-1][side], 2 * index + side
            items.append(measurement(subject(name), ms, seed=seed, spread=spread))
    return compare_interleaved(result(*items), names)


@pytest.mark.parametrize(
    ("after", "spread", "expected"),
    [
        (10.0, 0.002, Verdict.PASSED),
        (8.0, 0.002, Verdict.PASSED),
        (10.48, 0.002, Verdict.PASSED),
        (10.6, 0.002, Verdict.FAILED),
        (20.0, 0.002, Verdict.FAILED),
        (10.5, 0.02, Verdict.UNDECIDED),
        (20.0, 0.8, Verdict.UNDECIDED),
    ],
)
def test_gate_of_five_percent(after, spread, expected):
    assert overall(_interleaved((10.0, after, spread)), 0.05) is expected


def test_a_file_compared_with_itself_passes():
    [row] = compare(_run(10.0), _run(10.0))
    assert (row.ratio.value, row.ratio.low, row.ratio.high) == (1, 1, 1)
    assert overall([row], 0.0) is Verdict.PASSED


@pytest.mark.parametrize("after", [10.0, 20.0])
def test_two_runs_only_say_what_changed(after):
    rows = compare(_run(10.0), _run(after, seed=1))
    assert rows[0].ratio.value == pytest.approx(after / 10, rel=0.01)
    assert overall(rows, 0.05) is Verdict.UNDECIDED


def test_ratio_is_second_over_first():
    [row] = _interleaved((10.0, 12.0, 0.002))
    assert row.ratio.value == pytest.approx(1.2, rel=0.01)
    assert (row.before, row.after) == (pytest.approx(10, rel=0.01), pytest.approx(12, rel=0.01))


def test_a_noisy_row_leaves_itself_undecided_and_not_the_run():
    rows = _interleaved((10, 10, 0.002), (5, 5, 0.8))
    assert [row.verdict(0.05) for row in rows] == [Verdict.PASSED, Verdict.UNDECIDED]
    assert overall(rows, 0.05) is Verdict.PASSED
    assert overall(rows[1:], 0.05) is Verdict.UNDECIDED
    assert overall(_interleaved((10, 20, 0.002), (5, 5, 0.8)), 0.05) is Verdict.FAILED


def test_rows_are_matched_by_threads_too():
    one, two = (result(measurement(subject(), 10, threads=t)) for t in (1, 2))
    with pytest.raises(ArtifactError, match="share no row"):
        compare(one, two)


CPU = Device(kind="cpu", name="Test CPU", system="Linux 6", cores=2, features=("AVX2",), cache=1)


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ({"name": "Other CPU"}, False),
        ({"features": ("AVX-VNNI", "AVX2")}, False),
        ({"cores": 4}, False),
        ({"virtual": True}, False),
        ({"cache": 2}, False),
        ({"cache": None}, True),
        ({"system": "Linux 7"}, True),
    ],
)
def test_devices_are_told_apart_by_more_than_their_name(changed, same):
    files = [_run(10.0, device=device) for device in (CPU, CPU.model_copy(update=changed))]
    if same:
        assert compare(*files)
    else:
        with pytest.raises(ArtifactError, match=f"different devices.*{next(iter(changed))}"):
            compare(*files)


def test_peak_kernels_are_not_compared():
    peak = measurement(subject("peak", "peak"), 5)
    both = result(measurement(subject(), 10), peak)
    assert [row.name for row in compare(both, both)] == ["nano-int8.pte"]

import pytest

from sqsam_deploy.benchmark.compare import Verdict, compare, overall
from sqsam_deploy.benchmark.result import Device
from sqsam_deploy.errors import ArtifactError
from tests.benchmark.results import measurement, result, subject


def _run(ms, *, name="nano-int8.pte", seed=0, spread=0.002, **changes):
    return result(measurement(subject(name), ms, seed=seed, spread=spread), **changes)


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (_run(10.0, seed=1), Verdict.PASSED),
        (_run(8.0, seed=1), Verdict.PASSED),
        (_run(10.49, seed=1), Verdict.PASSED),
        (_run(10.6, seed=1), Verdict.FAILED),
        (_run(20.0, seed=1), Verdict.FAILED),
        (_run(10.5, seed=1, spread=0.02), Verdict.UNDECIDED),
        (_run(20.0, seed=1, spread=0.8), Verdict.UNDECIDED),
    ],
)
def test_gate_of_five_percent(after, expected):
    assert overall(compare(_run(10.0), after), 0.05) is expected


def test_ratio_is_second_over_first():
    [row] = compare(_run(10.0), _run(12.0))
    assert row.ratio.value == pytest.approx(1.2, rel=0.01)
    assert (row.before, row.after) == (pytest.approx(10, rel=0.01), pytest.approx(12, rel=0.01))


def test_one_regression_outweighs_rows_that_cannot_be_told():
    def both(ms, spread):
        noisy = measurement(subject("noisy.pte"), 5, spread=spread, seed=3)
        return result(measurement(subject(), ms, seed=2), noisy)

    assert overall(compare(both(10, 0.5), both(20, 0.5)), 0.05) is Verdict.FAILED
    assert overall(compare(both(10, 0.5), both(10, 0.5)), 0.05) is Verdict.UNDECIDED


def test_rows_are_matched_by_threads_too():
    one, two = (result(measurement(subject(), 10, threads=t)) for t in (1, 2))
    with pytest.raises(ArtifactError, match="share no row"):
        compare(one, two)


def test_other_devices_are_not_compared():
    other = Device(kind="cpu", name="Other CPU", system="Linux 6", cores=2)
    with pytest.raises(ArtifactError, match="different devices"):
        compare(_run(10.0), _run(10.0, device=other))


def test_peak_kernels_are_not_compared():
    peak = measurement(subject("peak", "peak"), 5)
    both = result(measurement(subject(), 10), peak)
    assert [row.name for row in compare(both, both)] == ["nano-int8.pte"]

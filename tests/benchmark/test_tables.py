import pytest

from sqsam_deploy.benchmark.rates import gmac_per_second, share_of_best_kernel
from sqsam_deploy.benchmark.ratios import find_ratios
from sqsam_deploy.benchmark.readme import write_readme
from sqsam_deploy.benchmark.result import NotMeasured
from sqsam_deploy.benchmark.resultfile import write_result
from sqsam_deploy.benchmark.tables import latency_table, number, paper_table
from sqsam_deploy.errors import ArtifactError
from tests.benchmark.results import measurement, result, subject


def _paper(precision, runtime, ms):
    suffix = {"executorch": ".pte", "onnx": ".onnx"}[runtime]
    name = f"paper-{precision}{suffix}"
    of = subject(
        name,
        precision=precision,
        runtime=runtime,
        preset="paper",
        macs=26_493_196_544,
        parameters=12_449_732,
        bytes=12_800_000,
    )
    return measurement(of, ms)


@pytest.fixture
def run():
    peer = subject(
        "SAM ViT-H .onnx",
        "peer",
        runtime="onnx",
        precision="fp32",
        preset=None,
        scope="image encoder, 1024²",
        macs=3_000_000_000_000,
        parameters=637_000_000,
    )
    peak = subject("peak-int8", "peak", macs=10_000_000_000)
    items = (
        _paper("fp32", "executorch", 180),
        _paper("int8", "executorch", 60),
        _paper("int8", "onnx", 90),
        measurement(peer, 9000),
        measurement(peak, 20),
    )
    finished = result(*items, not_measured=(NotMeasured(subject="m", setup="cpu", reason="why"),))
    return finished.model_copy(update={"ratios": find_ratios(finished.measurements)})


def test_rate_and_share_of_peak_by_hand(run):
    """26.49 GMAC in 60 ms are 441.5 GMAC/s; the kernel does 10 GMAC in 20 ms, 500 GMAC/s."""
    int8 = run.measurements[1]
    assert gmac_per_second(int8) == pytest.approx(441.5, rel=0.01)
    share = share_of_best_kernel(int8, run.measurements)
    assert share.value == pytest.approx(0.883, rel=0.01)
    assert share.low < share.value < share.high
    assert share_of_best_kernel(run.measurements[0], run.measurements) is None


def test_ratios_are_those_a_reader_asks_for(run):
    found = {(r.numerator, r.denominator): r.estimate.value for r in run.ratios}
    assert found.keys() == {
        ("paper-fp32.pte", "paper-int8.pte"),
        ("paper-int8.onnx", "paper-int8.pte"),
        ("SAM ViT-H .onnx", "paper-fp32.pte"),
    }
    assert found["paper-fp32.pte", "paper-int8.pte"] == pytest.approx(3.0, rel=0.01)


def test_table_holds_every_subject_and_says_what_is_missing(run):
    text = latency_table(run).markdown()
    assert "paper-int8.pte" in text
    assert "88%" in text
    assert "| m | cpu | not measured |" in text
    assert "Not measured: m: why." in text
    assert "peak-int8 |" not in text


def test_a_noisy_row_says_so():
    noisy = result(measurement(subject(), 10, spread=0.6))
    text = latency_table(noisy).markdown()
    assert "(noisy)" in text
    assert "Noisy: nano-int8.pte, cpu, 2 threads: the median is known to" in text


def test_a_noisy_peer_is_marked_where_it_is_quoted(run):
    peer = next(item for item in run.measurements if item.subject.role == "peer")
    noisy = result(measurement(peer.subject, 9000, spread=0.6))
    assert paper_table([noisy]).rows[-1][5].endswith("(noisy)")


def test_the_papers_own_figures_stand_in_its_own_rows(run):
    rows = {row[0]: row for row in paper_table([run]).rows}
    assert rows["SqueezeSAM (the paper)"][2:] == ("12.5", "-", "-", "-", "10", "300")
    assert rows["SAM ViT-H (the paper)"][6:] == ("500", "-")
    assert rows["FastSAM (the paper)"][2:] == ("68", "-", "-", "-", "-", "-")
    assert rows["paper-int8.pte"][6:] == ("-", "-")


def test_readme_has_the_table_and_the_plots(run, tmp_path):
    write_result(tmp_path / "results" / "a.json", run)
    text = write_readme(tmp_path / "results", tmp_path / "README.md").read_text()
    assert "## SqueezeSAM and its peers" in text
    assert "CUDA GPU: `sqsam-bench cuda`" in text
    for plot in ("figure-1.svg", "test-cpu-2-cores-2026-01-02-030405.svg"):
        assert f"plots/{plot}" in text
        assert "SAM ViT-H" in (tmp_path / "plots" / "figure-1.svg").read_text()
        assert (tmp_path / "plots" / plot).stat().st_size > 1000


def test_readme_is_the_same_every_time(run, tmp_path):
    write_result(tmp_path / "results" / "a.json", run)
    paths = [
        write_readme(tmp_path / "results", tmp_path / n / "README.md")
        for n in "ab"
        if (tmp_path / n).mkdir() is None
    ]
    contents = [{p.name: p.read_bytes() for p in path.parent.rglob("*.*")} for path in paths]
    assert contents[0] == contents[1]


def test_no_result_is_an_error(tmp_path):
    with pytest.raises(ArtifactError, match="holds no result file"):
        write_readme(tmp_path, tmp_path / "README.md")


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (1234.5, "1234"), (67.44, "67.4"), (0.125, "0.12")]
)
def test_numbers_have_three_digits(value, text):
    assert number(value) == text

import json
import math
import re
import xml.etree.ElementTree as ET

import pytest

from sqsam_deploy.benchmark.quality import Scores, read_scores
from sqsam_deploy.benchmark.rates import (
    arithmetic_bound,
    gmac_per_second,
    share_of_best_kernel,
)
from sqsam_deploy.benchmark.ratios import find_ratios
from sqsam_deploy.benchmark.readme import write_readme
from sqsam_deploy.benchmark.result import Device, Memory, NotMeasured, Timing
from sqsam_deploy.benchmark.resultfile import write_result
from sqsam_deploy.benchmark.tables import (
    front_table,
    latency_table,
    network_name,
    number,
    paper_table,
    stage_table,
)
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


def _device(*features, frequency=2000):
    return Device(
        kind="cpu", name="X", system="Linux", cores=2, features=features, frequency=frequency
    )


@pytest.mark.parametrize(
    ("features", "precision", "threads", "gmacs"),
    [
        # Two dot-product units of 512 bits: 2 x 64 bytes a cycle.
        (("AVX512-VNNI", "AVX512F", "FMA"), "int8", 2, 512),
        (("AVX512-VNNI", "AVX512F", "FMA"), "fp32", 2, 128),
        # A tile product is 16 x 16 x 64 in 16 cycles.
        (("AVX512-VNNI", "AMX-INT8"), "int8", 1, 2048),
        (("FMA",), "fp32", 4, 64),
        (("FMA",), "int8", 1, None),
    ],
)
def test_arithmetic_bound_is_units_times_lanes_times_cycles(features, precision, threads, gmacs):
    assert arithmetic_bound(_device(*features), precision, threads) == gmacs


def test_no_bound_where_the_frequency_is_unknown():
    assert arithmetic_bound(_device("FMA", frequency=None), "fp32", 1) is None


def test_every_time_and_size_that_varies_too_much_is_marked():
    item = measurement(
        subject(),
        10,
        load=(10.0, 20.0, 15.0),
        first=(10.0, 10.1, 10.05),
        memory=tuple(Memory(before=0, loaded=size, peak=200_000_000) for size in (1, 10**8, 10**7)),
    )
    jumping = Timing(rounds=((1.0,), (5.0,), (2.0,)))
    item = item.model_copy(update={"stages": {**item.stages, "total": jumping}})
    table = latency_table(result(item))
    row = dict(zip(table.columns, table.rows[0], strict=True))
    assert "noisy" in row["load ms"]
    assert "noisy" in row["RSS by loading MB"]
    assert "noisy" not in row["first ms"]
    assert row["RSS peak MB"] == "200 (200-200)"
    stages = stage_table(result(item))
    assert "noisy" in dict(zip(stages.columns, stages.rows[0], strict=True))["all ms"]


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


def test_the_text_of_a_plot_can_be_read_on_a_phone(run, tmp_path):
    """A page of 390 pixels shows a picture 358 wide."""
    write_result(tmp_path / "results" / "a.json", run)
    write_readme(tmp_path / "results", tmp_path / "README.md")
    for path in (tmp_path / "plots").iterdir():
        drawing = ET.fromstring(path.read_text())
        width = float(drawing.get("viewBox").split()[2])
        styles = [e.get("style", "") for e in drawing.iter() if e.tag.endswith("text") and e.text]
        sizes = [float(re.search(r"([0-9.]+)px", style)[1]) for style in styles]
        assert sizes
        assert min(sizes) * 358 / width >= 10, path.name


def _parity(directory, **artifacts):
    """A parity report beside the results: file name -> (changes, mIoU with a box)."""
    folder = directory / "parity"
    folder.mkdir(parents=True)
    common = {"sha256": "0" * 64, "runtime": "executorch", "precision": "int8", "preset": "paper"}
    report = {
        "schema": "sqsam-parity/2",
        "dataset": {"name": "a set", "images": 7, "objects": 9},
        "artifacts": {
            name: {**common, **changes, "miou": [{"kind": "box", "overall": miou}]}
            for name, (changes, miou) in artifacts.items()
        },
    }
    (folder / "a.json").write_text(json.dumps(report))
    return read_scores(directory)


def test_quality_stands_beside_the_precision_and_runtime_it_was_measured_at(run, tmp_path):
    scores = _parity(
        tmp_path,
        a=({}, 77.06),
        b=({"precision": "fp32", "runtime": "onnx"}, 77.08),
        c=({"preset": "nano", "precision": "fp16"}, 11.0),
    )
    table = front_table(run, scores)
    shown = {row[:2]: row[4:6] for row in table.rows}
    assert shown == {
        ("**SqueezeSAM (whole)**", "int8"): ("77.1", "-"),
        ("**SqueezeSAM (whole)**", "fp32"): ("77.1", "-"),
        ("SAM ViT-H (image encoder, 1024²)", "fp32"): ("-", "-"),
    }
    assert "9 objects of 7 photos of the set 'a set'" in " ".join(table.notes)


def test_the_score_of_the_very_file_goes_before_that_of_another_build(run, tmp_path):
    timed = run.measurements[1]
    named = timed.subject.model_copy(update={"sha256": "f" * 64})
    scores = _parity(tmp_path, a=({}, 10.0), b=({"sha256": "f" * 64, "preset": "other"}, 20.0))
    assert scores.of(named, "box") == 20.0
    assert scores.of(timed.subject, "box") == 10.0


def test_the_front_table_holds_each_network_and_precision_once_by_time(run):
    rows = front_table(run, Scores()).rows
    assert [row[2] for row in rows] == ["ExecuTorch", "ExecuTorch", "ONNX Runtime"]
    assert [float(row[6].split()[0]) for row in rows] == pytest.approx([60, 180, 9000], rel=0.01)
    assert rows[2][7].startswith("50")


def test_notes_say_at_each_precision_who_is_faster(run):
    faster = subject(
        "EdgeSAM .onnx", "peer", runtime="onnx", precision="fp32", preset=None, scope="encoder"
    )
    measured = (*run.measurements, measurement(faster, 100))
    notes = front_table(result(*measured), Scores()).notes
    named = {
        precision: next(note for note in notes if f"at {precision}" in note.lower())
        for precision in ("int8", "fp32")
    }
    assert "EdgeSAM (encoder)" in named["fp32"]
    assert "SAM ViT-H" not in named["fp32"]
    assert "no other network" in named["int8"]
    assert any("60.0 ms at int8, 180 ms at fp32" in note for note in notes)


def test_figure_1_puts_dots_where_the_times_are(run, tmp_path):
    """On a logarithmic axis the distance of two dots is the logarithm of their times' ratio."""
    write_result(tmp_path / "results" / "a.json", run)
    write_readme(tmp_path / "results", tmp_path / "README.md")
    svg = (tmp_path / "plots" / "figure-1.svg").read_text()
    names = [e.text for e in ET.fromstring(svg).iter() if e.tag.endswith("text") and e.text]
    assert names.count("SqueezeSAM (whole)") == 1
    assert names.count("SAM ViT-H (image encoder, 1024²)") == 1
    # Lines and dots of the first panel, which is in front of the second: in the order of drawing.
    panel = svg.partition('id="axes_2"')[2].partition('id="legend_1"')[0]
    dots = [float(x) for x in re.findall(r'<use xlink:href="#m[0-9a-f]+" x="([0-9.]+)"', panel)]
    first, second, third = dots[-3:]
    assert (third - first) / (second - first) == pytest.approx(
        math.log(9000 / 60) / math.log(180 / 60), rel=0.01
    )


def test_a_plot_has_a_dark_color_for_everything_that_is_dark_on_light(run, tmp_path):
    write_result(tmp_path / "results" / "a.json", run)
    write_readme(tmp_path / "results", tmp_path / "README.md")
    for path in (tmp_path / "plots").iterdir():
        drawing, _, dark = path.read_text().rpartition("<style>")
        assert "prefers-color-scheme: dark" in dark
        for kind, color in set(re.findall(r"(fill|stroke): (#[0-9a-f]{6})", drawing)):
            if _luminance(color) < 0.1 or _luminance(color) > 0.7:
                assert f"{kind}: {color}" in dark, path.name


def _luminance(color):
    """Relative luminance (WCAG 2.2)."""
    parts = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts]
    return sum(w * v for w, v in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


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


def test_a_network_has_one_name_at_every_precision():
    float_one, quantized = (
        subject(name, role="peer", precision=precision, scope="image encoder, 1024²")
        for name, precision in (("MobileSAM .onnx", "fp32"), ("MobileSAM int8 .onnx", "int8"))
    )
    assert network_name(float_one) == network_name(quantized)

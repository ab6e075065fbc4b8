"""The drift plot has every gate, at places that say what they should."""

import re
import xml.etree.ElementTree as ElementTree

import pytest

from sqsam_deploy.evaluation.gate import DriftLimits
from sqsam_deploy.report.parity import html
from sqsam_deploy.report.parity_drawings import drift_plot
from sqsam_deploy.report.plot import round_step

_SVG = "{http://www.w3.org/2000/svg}"


@pytest.fixture(params=[0.002, 0.3])
def report(make_report, request):
    return make_report(request.param, limits=DriftLimits(4.0, (("1-click", 2.0),)))


def test_every_drift_gate_is_a_mark_with_its_outcome(report):
    marks = drift_plot(report).marks
    gates = [gate for gate in report.artifacts["int8"].gates if gate.measure == "drift"]
    assert [mark.label for mark in marks] == [f"int8, {gate.kind}" for gate in gates]
    assert [mark.outcome for mark in marks] == [gate.outcome for gate in gates]


def test_places_are_proportional_to_points(report):
    plot = drift_plot(report)
    gates = [gate for gate in report.artifacts["int8"].gates if gate.measure == "drift"]
    numbers = [float(tick.label.replace("\N{MINUS SIGN}", "-")) for tick in plot.ticks]
    unit = (plot.ticks[-1].at - plot.ticks[0].at) / (numbers[-1] - numbers[0])
    for mark, gate in zip(plot.marks, gates, strict=True):
        found = gate.estimate
        for place, points in (
            (mark.mean, found.mean),
            (mark.interval[0], found.low),
            (mark.interval[1], found.high),
            (mark.bound, gate.bound),
            (mark.limit, gate.limit),
        ):
            assert place == pytest.approx(plot.zero + unit * points, abs=0.02)
            assert 0 <= place <= 100


def test_a_long_name_fits_on_a_phone(report):
    int8 = report.artifacts["int8"]
    artifacts = {"float": report.artifacts["float"], "n" * 300: int8}
    plot = drift_plot(report.model_copy(update={"artifacts": artifacts}))
    # 12 pixels high, 7 wide at most, on a page of 390 pixels with its margins.
    assert 7 * len(plot.marks[0].label) < 390 - 2 * 15
    assert plot.marks[0].label.endswith("n, box")
    assert plot.marks[0].text.startswith("n" * 300)


def test_steps_are_round():
    assert [round_step(span, 8) for span in (0.7, 8, 9, 40, 70)] == pytest.approx(
        [0.1, 1, 2, 5, 10]
    )


def test_the_page_names_each_mark_for_who_points_at_it(report):
    page = html(report, [])
    text = re.search(r"<svg.*?</svg>", page, re.S).group()
    drawn = ElementTree.fromstring(text.replace("<svg", f'<svg xmlns="{_SVG[1:-1]}"', 1))
    titles = [group.findtext(f"{_SVG}title") for group in drawn.iter(f"{_SVG}g")]
    assert titles == [mark.text for mark in drift_plot(report).marks]
    # Colors come from the page's style, which has others in the dark.
    assert not re.search(r"#[0-9a-f]{3,6}\b", text)


def test_without_a_gate_there_is_no_plot(report):
    only = report.model_copy(update={"artifacts": {"float": report.artifacts["float"]}})
    assert drift_plot(only) is None
    assert "<svg" not in html(only, [])

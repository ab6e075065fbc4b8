"""The plot of the sensitivity has every module, with its interval, at the height of its value."""

import pytest

from sqsam_deploy.evaluation.bounds import Interval
from sqsam_deploy.evaluation.float_modules import Study
from sqsam_deploy.evaluation.sensitivity import ModuleSensitivity, Sensitivity
from sqsam_deploy.report.export import export_page
from sqsam_deploy.report.export_sensitivity import sensitivity_plot


def _module(name: str, loss: float, gain: float) -> ModuleSensitivity:
    return ModuleSensitivity(
        name=name,
        op="linear",
        work=10,
        loss=Interval(loss, loss - 1, loss + 1),
        gain=Interval(gain, gain - 1, gain + 1),
    )


SENSITIVITY = Sensitivity(
    source="holiday",
    photos=4,
    seed=0,
    miou_float=71.25,
    miou_int8=70.5,
    modules=(
        _module("encoder.a", 1, 0),
        _module("encoder.b", 2, 4),
        _module("decoder.c", 4, -1),
    ),
)


def test_heights_are_proportional_to_points():
    plot = sensitivity_plot(SENSITIVITY)
    a, b, c = (mark.loss for mark in plot.marks)
    assert (b.mean - c.mean) / (a.mean - b.mean) == pytest.approx(2, abs=0.01)
    assert a.high < a.mean < a.low
    for mark in plot.marks:
        assert plot.loss_top <= mark.loss.high <= mark.loss.low <= plot.loss_bottom
        assert plot.gain_top <= mark.gain.high <= mark.gain.low <= plot.gain_bottom


def test_the_largest_gain_comes_first():
    assert [module.name[-1] for module in sensitivity_plot(SENSITIVITY).best] == ["b", "a", "c"]


def test_the_page_shows_it_or_says_how_to_get_it(small_export):
    given = small_export.directory, small_export.manifest, small_export.evidence
    without = export_page(*given)
    assert "--sensitivity" in without and "--max-drift" in without
    page = export_page(*given, Study(sensitivity=SENSITIVITY))
    assert page.count('<g class="sensitivity mark ') == 3
    assert "holiday" in page and "71.25" in page
    assert "sqsam-export --sensitivity" not in page

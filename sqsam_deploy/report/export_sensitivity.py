"""The cost of int8 in each module, in mIoU points, and where it is drawn."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqsam_deploy.evaluation.bounds import Interval
from sqsam_deploy.evaluation.sensitivity import ModuleSensitivity, Sensitivity
from sqsam_deploy.report.export_layers import LEFT, NAMED, RIGHT, Stage, stages
from sqsam_deploy.report.plot import Axis, Tick, round_step, stepped_axis, stepped_ticks

_HEIGHT = 430
_LOSS_TOP, _LOSS_BOTTOM = 40, 200
_GAIN_TOP, _GAIN_BOTTOM = 256, 416
#: Lines across a panel, at most.
_MOST_TICKS = 6


@dataclass(frozen=True)
class Bar:
    """A value with its interval: heights in pixels."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class SensitivityMark:
    """One module.

    Attributes:
        x: Its middle, in percent of the width.
        loss: Of quantizing it alone.
        gain: Of keeping it in float.
        op: Its operator, which gives the color.
        text: Everything about it, for who points at it.
    """

    x: float
    loss: Bar
    gain: Bar
    op: str
    text: str


@dataclass(frozen=True)
class SensitivityPlot:
    """The whole drawing, and the modules that gain most in float.

    Places across are percent of the width, heights are pixels.
    """

    marks: tuple[SensitivityMark, ...]
    stages: tuple[Stage, ...]
    ticks: tuple[Tick, ...]
    best: tuple[ModuleSensitivity, ...]
    height: int = _HEIGHT
    left: float = LEFT
    right: float = RIGHT
    loss_top: int = _LOSS_TOP
    loss_bottom: int = _LOSS_BOTTOM
    gain_top: int = _GAIN_TOP
    gain_bottom: int = _GAIN_BOTTOM


def sensitivity_plot(sensitivity: Sensitivity) -> SensitivityPlot:
    """Places every module."""
    modules = sensitivity.modules
    step = (RIGHT - LEFT) / max(len(modules), 1)
    loss, loss_ticks = _axis([module.loss for module in modules], _LOSS_BOTTOM, _LOSS_TOP)
    gain, gain_ticks = _axis([module.gain for module in modules], _GAIN_BOTTOM, _GAIN_TOP)
    return SensitivityPlot(
        marks=tuple(
            SensitivityMark(
                round(LEFT + (i + 0.5) * step, 2),
                _bar(module.loss, loss),
                _bar(module.gain, gain),
                module.op,
                f"{module.name} ({module.op}): loses {shown_interval(module.loss)} alone in int8, "
                f"gains {shown_interval(module.gain)} alone in float",
            )
            for i, module in enumerate(modules)
        ),
        stages=tuple(stages((module.name for module in modules), step)),
        ticks=loss_ticks + gain_ticks,
        best=tuple(sorted(modules, key=lambda module: -module.gain.mean)[:NAMED]),
    )


def _axis(values: Sequence[Interval], bottom: int, top: int) -> tuple[Axis, tuple[Tick, ...]]:
    ends = [0.0, *(end for value in values for end in (value.low, value.high))]
    step = round_step(max(ends) - min(ends) or 1.0, _MOST_TICKS)
    axis = stepped_axis(ends, step, bottom, top)
    return axis, stepped_ticks(axis, step)


def _bar(value: Interval, axis: Axis) -> Bar:
    return Bar(axis.at(value.mean), axis.at(value.low), axis.at(value.high))


def shown_interval(value: Interval) -> str:
    """`0.09 (-0.02 to 0.19)`."""
    # Zero is added because what rounds to it may have a sign.
    mean, low, high = (f"{round(x, 2) + 0.0:.2f}" for x in (value.mean, value.low, value.high))
    return f"{mean} ({low} to {high})"

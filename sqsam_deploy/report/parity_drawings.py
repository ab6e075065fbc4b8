"""Drawings of a parity report: the drift of each gate, and the objects that lost most."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.evaluation.report import GateResult, ParityReport
from sqsam_deploy.evaluation.worst_cases import WorstCase
from sqsam_deploy.pictures import (
    MASK,
    Picture,
    data_address,
    tinted,
    with_difference,
    with_prompt,
)
from sqsam_deploy.prompts import Prompt
from sqsam_deploy.report.page import PictureRow
from sqsam_deploy.report.parity_tables import gate_text
from sqsam_deploy.report.plot import (
    Axis,
    Tick,
    round_step,
    stepped_axis,
    stepped_ticks,
)

#: Longer side of a picture, in pixels.
SIDE = 220
#: Share of the object's size that is shown around it.
MARGIN = 0.25


def pictures(case: WorstCase) -> PictureRow:
    """Prompt, truth, float, artifact, difference: crops of the same part of the image.

    In the difference, red is what only the float reference had, yellow what only the artifact has.
    """
    window, before, after = _window(case), case.pair.before, case.pair.after
    shown = {
        "prompt": _with_prompt(case.image, case.query.prompt, window),
        "truth": tinted(case.image, case.truth, MASK),
        f"{case.reference}: {before.iou:.3f}": tinted(case.image, case.before, MASK),
        f"{case.artifact}: {after.iou:.3f}": tinted(case.image, case.after, MASK),
        "difference": with_difference(_gray(case.image), case.before, case.after),
    }
    return PictureRow(
        case.artifact,
        f"{after.category}, {after.kind}, image {after.image}, drift {case.pair.drift:+.1f} points",
        tuple(Picture(caption, data_address(p[window], SIDE)) for caption, p in shown.items()),
    )


def _window(case: WorstCase) -> tuple[slice, slice]:
    seen = case.truth | case.before | case.after
    rows, columns = np.flatnonzero(seen.any(1)), np.flatnonzero(seen.any(0))
    margin = int(MARGIN * max(len(rows), len(columns))) + 8
    return (
        slice(max(int(rows[0]) - margin, 0), int(rows[-1]) + margin),
        slice(max(int(columns[0]) - margin, 0), int(columns[-1]) + margin),
    )


def _gray(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.repeat(image.mean(2, keepdims=True), 3, 2).astype(np.uint8)


def _with_prompt(
    image: NDArray[np.uint8], prompt: Prompt, window: tuple[slice, slice]
) -> NDArray[np.uint8]:
    shown = max(
        min(part.stop, side) - part.start
        for part, side in zip(window, image.shape[:2], strict=True)
    )
    return with_prompt(image, prompt, max(round(shown / 90), 1))


#: Pixels: the height of a gate's row, its name in it included, and what lies under all of them.
_ROW, _UNDER = 40, 24
#: Percent of the width that the axis takes.
_FROM, _TO = 3.0, 97.0
#: Characters of a name that fit above a row on a phone.
_LONGEST = 44
_TICKS = 7


@dataclass(frozen=True)
class DriftMark:
    """The drift of one artifact with prompts of one kind.

    Attributes:
        label: The artifact and the prompts.
        y: The middle of its row, in pixels; all other places are percent of the width.
        mean: The place of the mean drift.
        interval: Those of its ends.
        bound: That of its bound.
        limit: That of the most drift that is allowed.
        outcome: Gives the color.
        text: Everything about it, for who points at it.
    """

    label: str
    y: float
    mean: float
    interval: tuple[float, float]
    bound: float
    limit: float
    outcome: str
    text: str


@dataclass(frozen=True)
class DriftPlot:
    """The whole drawing; zero is the place of no drift.

    It is as wide as the page, and its text as large on a phone as on a screen: places across are
    percent, heights are pixels.
    """

    marks: tuple[DriftMark, ...]
    ticks: tuple[Tick, ...]
    zero: float
    row: int = _ROW

    @property
    def bottom(self) -> int:
        """The lower end of the rows."""
        return self.row * len(self.marks)

    @property
    def height(self) -> int:
        """Of the rows and the numbers under them."""
        return self.bottom + _UNDER


def drift_plot(report: ParityReport) -> DriftPlot | None:
    """Places the drift of every gate; None where nothing was compared."""
    gates = [
        (name, gate)
        for name, artifact in report.artifacts.items()
        for gate in artifact.gates
        if gate.measure == "drift"
    ]
    if not gates:
        return None
    ends = [end for _, gate in gates for end in _ends(gate)]
    step = round_step(max(ends) - min(ends), _TICKS)
    axis = stepped_axis(ends, step, _FROM, _TO)
    return DriftPlot(
        marks=tuple(
            _mark(name, gate, axis, (i + 0.5) * _ROW) for i, (name, gate) in enumerate(gates)
        ),
        ticks=stepped_ticks(axis, step),
        zero=axis.at(0),
    )


def _ends(gate: GateResult) -> tuple[float, ...]:
    found = gate.estimate
    return (0.0, found.mean, found.low, found.high, gate.bound, gate.limit)


def _shortened(label: str) -> str:
    return label if len(label) <= _LONGEST else f"\N{HORIZONTAL ELLIPSIS}{label[1 - _LONGEST :]}"


def _mark(name: str, gate: GateResult, axis: Axis, y: float) -> DriftMark:
    return DriftMark(
        label=_shortened(f"{name}, {gate.kind}"),
        y=y,
        mean=axis.at(gate.estimate.mean),
        interval=(axis.at(gate.estimate.low), axis.at(gate.estimate.high)),
        bound=axis.at(gate.bound),
        limit=axis.at(gate.limit),
        outcome=gate.outcome,
        text=f"{name}: {gate_text(gate)}",
    )

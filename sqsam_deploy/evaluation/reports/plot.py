"""Drift and its interval, drawn as SVG that stands inside the HTML."""

import io
from typing import Any

from sqsam_deploy.evaluation.report import GateResult, ParityReport

_COLOURS = {"passed": "#2e7d32", "failed": "#c62828", "undecided": "#b26a00"}


def drift_plot(report: ParityReport) -> str:
    """One line an artifact and prompt kind, with its limit; the same report gives the same text."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    lines = [
        (f"{name}, {gate.kind}", gate)
        for name, artifact in report.artifacts.items()
        for gate in artifact.gates
        if gate.measure == "drift"
    ]
    with mpl.rc_context({"svg.hashsalt": "sqsam-parity", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(8.5, 0.9 + 0.26 * len(lines)), layout="constrained")
        axes = figure.subplots()
        for position, (_, gate) in enumerate(lines):
            _draw_gate(axes, position, gate)
        axes.set_yticks(range(len(lines)), [label for label, _ in lines])
        _label(axes)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    return text[text.index("<svg") :]


def _draw_gate(axes: Any, position: int, gate: GateResult) -> None:
    colour, found = _COLOURS[gate.outcome], gate.estimate
    axes.plot([found.mean, gate.bound], [position] * 2, color=colour, lw=1)
    axes.plot([found.low, found.high], [position] * 2, color=colour, lw=5)
    axes.plot(found.mean, position, "o", color="white", mec=colour, ms=5)
    axes.plot([gate.limit] * 2, [position - 0.4, position + 0.4], color="#c62828", lw=1, ls="--")


def _label(axes: Any) -> None:
    axes.invert_yaxis()
    axes.axvline(0, color="#90a4ae", lw=1)
    axes.set_xlabel(
        "drift in mIoU points: 95% interval (thick), up to its bound (thin); dashed: the limit"
    )
    axes.spines[["top", "right", "left"]].set_visible(False)

"""Drift and its interval, drawn as SVG that stands inside the HTML."""

import io
from typing import Any

from sqsam_deploy.evaluation.report import DriftGroup, ParityReport

_COLOURS = {"passed": "#2e7d32", "failed": "#c62828", "undecided": "#b26a00"}


def drift_plot(report: ParityReport) -> str:
    """One line an artifact and prompt kind, with the limit; the same report gives the same text."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    lines = [
        (name, group)
        for name, artifact in report.artifacts.items()
        for group in artifact.groups
        if group.size is None
    ]
    with mpl.rc_context({"svg.hashsalt": "sqsam-parity", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(8.5, 0.9 + 0.26 * len(lines)), layout="constrained")
        axes = figure.subplots()
        for position, (name, group) in enumerate(lines):
            _draw_interval(axes, position, report.artifacts[name].gate, group)
        _label(axes, report, lines)
        file = io.StringIO()
        figure.savefig(file, format="svg", metadata={"Date": None})
    text = file.getvalue()
    return text[text.index("<svg") :]


def _draw_interval(axes: Any, position: int, gate: Any, group: DriftGroup) -> None:
    drift, whole = group.drift, group.kind is None
    colour = _COLOURS[gate.outcome] if whole and gate else "#607d8b"
    axes.plot([drift.low, drift.high], [position] * 2, color=colour, lw=5 if whole else 2.5)
    axes.plot(drift.mean, position, "o", color="white", mec=colour, ms=5)


def _label(axes: Any, report: ParityReport, lines: list[tuple[str, DriftGroup]]) -> None:
    labels = [name if group.kind is None else group.kind for name, group in lines]
    axes.set_yticks(range(len(lines)), labels)
    axes.invert_yaxis()
    axes.axvline(0, color="#90a4ae", lw=1)
    axes.axvline(report.max_drift, color="#c62828", lw=1, ls="--")
    axes.set_xlabel("drift in mIoU points, 95% interval; dashed: the limit")
    axes.spines[["top", "right", "left"]].set_visible(False)

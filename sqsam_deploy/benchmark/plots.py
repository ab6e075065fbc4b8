"""Results as pictures: a row for each network, dots with their 95% intervals.

A dot's color and shape are its precision; it is filled for this project's networks and hollow for
others. The pictures are SVG and follow the reader's choice of light or dark.
"""

import math
import textwrap
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqsam_deploy._internal.atomic import atomic_write
from sqsam_deploy._internal.packages import missing_package
from sqsam_deploy.benchmark.quality import PROMPTS, Scores
from sqsam_deploy.benchmark.result import BenchmarkResult, Estimate, Measurement
from sqsam_deploy.benchmark.tables import (
    fastest,
    network_name,
    runtime_title,
    setup_text,
    summary_of,
)
from sqsam_deploy.errors import MissingDependencyError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _PAPER, _SOFT = "#1f2328", "#fefefe", "#8b929c"
#: The same, where the reader's system is dark.
_DARK = {_INK: "#e6edf3", _PAPER: "#0d1117", "#dfe3e8": "#30363d"}
_GRID = "#dfe3e8"
#: Color and shape of each precision; told apart without color too, and seen on light and dark.
_MARKS = {
    "fp32": ("#3b7dd8", "o"),
    "fp16": ("#d97a00", "s"),
    "bf16": ("#c2569b", "^"),
    "int8": ("#159a5b", "D"),
    "int8-weights": ("#8a63d2", "P"),
    "palettized-6bit": ("#b5476a", "v"),
    "palettized-4bit": ("#7a8a1f", "*"),
}
_OTHER = (_SOFT, "X")
#: Inches: as wide as a text's column on a phone can show it, so that its text stays readable there.
_WIDTH, _ROW, _AROUND = 4.8, 0.46, 0.6
#: Points.
_TEXT = 10
#: Panels beside each other, and entries of the legend.
_BESIDE, _ENTRIES = 2, 3
#: Shares of a row's height: where its name and its dots lie, and how far the dots are apart.
_NAME, _DOTS, _APART = -0.36, 0.16, 0.16


@dataclass(frozen=True)
class _Row:
    """One line of a picture."""

    name: str
    ours: bool
    items: tuple[Measurement, ...]


@dataclass(frozen=True)
class _Panel:
    """One column of a picture: a number of each measurement, None where it is not known.

    With limits the axis is linear between them, so that small differences look small; otherwise it
    is logarithmic.
    """

    title: str
    value: Callable[[Measurement], Estimate | None]
    limits: tuple[float, float] | None = None


def draw_latency(result: BenchmarkResult, path: Path) -> Path:
    """Every network of a run, in every runtime and setup that it was measured in.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    found: dict[str, list[Measurement]] = {}
    for item in result.measurements:
        if item.subject.role != "peak":
            found.setdefault(_name_and_setup(item), []).append(item)
    rows = [_Row(name, _is_ours(items[0]), tuple(items)) for name, items in found.items()]
    rows.sort(key=lambda row: (not row.ours, row.items[0].subject.preset or "", _least(row)))
    return _draw(_title(result), rows, [_Panel("median inference, ms", _median)], path)


def draw_figure_1(result: BenchmarkResult, scores: Scores, path: Path) -> Path:
    """Latency, size, and quality where several networks' is known, of `paper` and its peers.

    It is the counterpart of the paper's Figure 1. A network that was measured in several runtimes
    is drawn once for each precision, in its fastest.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    found: dict[str, list[Measurement]] = {}
    for item in fastest(result):
        found.setdefault(network_name(item.subject), []).append(item)
    rows = [_Row(name, _is_ours(items[0]), tuple(items)) for name, items in found.items()]
    panels = [_Panel("fastest runtime, ms", _median), _Panel("its file, MB", _megabytes)]
    for kind, title in PROMPTS.items():
        subjects = [item.subject for item in fastest(result)]
        known = {network_name(s) for s in subjects if scores.of(s, kind) is not None}
        # One network alone is compared with nothing: its score stands in the table.
        if len(known) > 1:
            panels.append(_quality_panel(scores, kind, title))
    return _draw(_title(result), sorted(rows, key=_least), panels, path)


def _quality_panel(scores: Scores, kind: str, title: str) -> _Panel:
    return _Panel(f"mIoU, {title}", lambda item: _exact(scores.of(item.subject, kind)), (0, 100))


def _name_and_setup(item: Measurement) -> str:
    subject = item.subject
    name = subject.name.partition(" .")[0] if subject.role == "peer" else subject.preset
    runtime = "torch" if subject.role == "network" else runtime_title(subject.runtime)
    # Networks in torch have both in their names.
    name = f"{name}".removesuffix(f" {subject.precision}").removesuffix(" torch")
    return f"{name} {runtime}, {setup_text(item.setup)}"


def _is_ours(item: Measurement) -> bool:
    return item.subject.role != "peer"


def _least(row: _Row) -> float:
    return min(summary_of(item).median.value for item in row.items)


def _median(item: Measurement) -> Estimate:
    return summary_of(item).median


def _megabytes(item: Measurement) -> Estimate | None:
    size = item.subject.bytes
    return None if size is None else _exact(size / 1e6)


def _exact(value: float | None) -> Estimate | None:
    return None if value is None else Estimate(value=value, low=value, high=value)


def _title(result: BenchmarkResult) -> str:
    device = result.device
    cores = f", {device.cores} cores" if device.kind == "cpu" else ""
    return f"{device.name}{cores}, {result.created[:10]}"


def _draw(title: str, rows: Sequence[_Row], panels: Sequence[_Panel], path: Path) -> Path:
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MissingDependencyError(missing_package("matplotlib")) from None
    lines = math.ceil(len(panels) / _BESIDE)
    height = 1.1 + lines * (_AROUND + _ROW * len(rows))
    with style():
        figure = Figure((_WIDTH, height), layout="constrained")
        grid = figure.subplots(lines, min(len(panels), _BESIDE), sharey=True, squeeze=False)
        for index, axes in enumerate(grid.flat):
            if index < len(panels):
                _fill(axes, rows, panels[index])
            else:
                axes.set_visible(False)
        for axes in grid[:, 0]:
            _name_rows(axes, rows)
        figure.suptitle(textwrap.fill(title, 56), fontsize=_TEXT + 1, color=_INK)
        _explain(figure, rows)
        return save_svg(figure, path)


def _fill(axes: "Axes", rows: Sequence[_Row], panel: _Panel) -> None:
    axes.set_xscale("linear" if panel.limits else "log")
    ends = []
    for position, row in enumerate(rows):
        known = [(item, value) for item in row.items if (value := panel.value(item))]
        for index, (item, value) in enumerate(known):
            # A little above each other, so that equal values are seen.
            shift = _APART * (index - (len(known) - 1) / 2)
            _dot(axes, position + _DOTS + shift, value, item)
            ends += [value.low, value.high]
    if panel.limits:
        axes.set_xlim(*panel.limits)
    elif ends:
        around = max((max(ends) / min(ends)) ** 0.12, 1.2)
        axes.set_xlim(min(ends) / around, max(ends) * around)
        _plain_ticks(axes)
    axes.set_title(panel.title, fontsize=_TEXT, color=_INK)
    axes.grid(True, which="major", axis="both", color=_GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=_TEXT)
    axes.tick_params(which="minor", length=0)
    axes.set_yticks([position + _DOTS for position in range(len(rows))], [""] * len(rows))
    axes.set_ylim(len(rows) - 0.4, -0.6)
    # Names reach over the panel on the right.
    axes.patch.set_visible(False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _dot(axes: "Axes", position: float, value: Estimate, item: Measurement) -> None:
    color, shape = _MARKS.get(item.subject.precision, _OTHER)
    axes.hlines(position, value.low, value.high, color=color, linewidth=2)
    axes.plot(
        value.value,
        position,
        marker=shape,
        markersize=7,
        color=color,
        markerfacecolor=color if _is_ours(item) else _PAPER,
        markeredgewidth=1.6,
    )


def _plain_ticks(axes: "Axes") -> None:
    """Numbers a person reads (30, 100, 300) instead of powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 3.0), numticks=8))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())


def _name_rows(axes: "Axes", rows: Sequence[_Row]) -> None:
    """Each name above its row: beside it, it would take half of a phone's width."""
    # In front of the panel on the right, whose lines would cross the names.
    axes.set_zorder(1)
    for position, row in enumerate(rows):
        axes.text(
            0,
            position + _NAME,
            row.name,
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=_TEXT,
            fontweight="bold" if row.ours else "normal",
            bbox={"facecolor": _PAPER, "edgecolor": "none", "pad": 0.5},
            in_layout=False,
        )


def _explain(figure: "Figure", rows: Sequence[_Row]) -> None:
    """One entry a precision, and what a filled and a hollow dot are."""
    from matplotlib.lines import Line2D

    present = dict.fromkeys(item.subject.precision for row in rows for item in row.items)
    marks = [(name, *_MARKS.get(name, _OTHER), True) for name in _MARKS if name in present]
    if len({row.ours for row in rows}) > 1:
        marks += [("SqueezeSAM", _SOFT, "o", True), ("other networks", _SOFT, "o", False)]
    handles = [
        Line2D([], [], ls="", marker=m, color=c, mfc=c if full else _PAPER, mew=1.6, label=name)
        for name, c, m, full in marks
    ]
    handles.append(Line2D([], [], color=_SOFT, linewidth=2, label="95% interval"))
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=min(len(handles), _ENTRIES),
        fontsize=_TEXT,
        frameon=False,
    )


def style() -> AbstractContextManager[None]:
    """matplotlib's settings for a picture that `save_svg` writes, inside the block."""
    import matplotlib

    settings: dict[Any, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "sqsam",
        "text.color": _INK,
        "axes.labelcolor": _INK,
        "axes.edgecolor": _INK,
        "axes.facecolor": _PAPER,
        "figure.facecolor": _PAPER,
        "legend.facecolor": _PAPER,
        "xtick.color": _INK,
        "ytick.color": _INK,
    }
    return matplotlib.rc_context(settings)


def save_svg(figure: "Figure", path: Path) -> Path:
    """As SVG with text as text, and without a date, so that the same result gives the same file."""
    import io

    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    head, end, rest = buffer.getvalue().rpartition("</svg>")
    atomic_write(path, f"{head}{_dark_style()}{end}{rest}".encode())
    return path


def _dark_style() -> str:
    rules = [
        f'*[style*="{kind}: {light}"] {{ {kind}: {dark} !important }}'
        for light, dark in _DARK.items()
        for kind in ("fill", "stroke")
    ]
    return f"<style>@media (prefers-color-scheme: dark) {{ {' '.join(rules)} }}</style>\n"

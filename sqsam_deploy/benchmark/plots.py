"""Results as pictures: latency with intervals, and the paper's Figure 1 for this machine."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sqsam_deploy.benchmark.result import BenchmarkResult, Measurement, Subject
from sqsam_deploy.benchmark.tables import label, setup_text, summary_of
from sqsam_deploy.errors import MissingDependencyError

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_COLOURS = {"fp32": "#7a869a", "fp16": "#4c9be8", "int8": "#1f6f43", "int8-weights": "#8bc34a"}
_OTHER = "#b0b0b0"


def draw_latency(result: BenchmarkResult, path: Path) -> Path:
    """One bar a subject and thread count, coloured by precision, with the median's interval.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    items = [item for item in result.measurements if item.subject.role in ("artifact", "network")]
    items.sort(key=lambda item: (item.subject.preset or "", item.setup.threads or 0, label(item)))
    figure = _figure(width=8.0, height=0.9 + 0.28 * len(items))
    axes = figure.subplots()
    for position, item in enumerate(items):
        median = summary_of(item).median
        colour = _COLOURS.get(item.subject.precision, _OTHER)
        axes.barh(position, median.value, color=colour)
        axes.hlines(position, median.low, median.high, color="black", linewidth=1.5)
    axes.set_yticks(range(len(items)), [f"{label(i)}, {setup_text(i.setup)}" for i in items])
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlabel("median inference, ms (logarithmic); the line is its 95% interval")
    axes.set_title(f"{result.device.name}, {result.device.cores} cores")
    return _save(figure, path)


def draw_figure_1(results: Sequence[BenchmarkResult], path: Path) -> Path:
    """Latency against parameters, SqueezeSAM and its peers, as the paper's Figure 1.

    A network that was measured in several runtimes is drawn once, in its fastest.

    Raises:
        MissingDependencyError: matplotlib is not installed.
    """
    figure = _figure(width=7.5, height=5.0)
    axes = figure.subplots()
    fastest: dict[str, Measurement] = {}
    for item in sorted(_comparable(results), key=_median, reverse=True):
        fastest[_network_name(item.subject)] = item
    for name, item in fastest.items():
        ours = item.subject.role == "artifact"
        x, y = (item.subject.parameters or 0) / 1e6, _median(item)
        colour = _COLOURS[item.subject.precision] if ours else _OTHER
        axes.scatter(x, y, s=70, color=colour, marker="*" if ours else "o", zorder=3)
        beside, side = (8, "left") if ours else (-8, "right")
        axes.annotate(
            name, (x, y), textcoords="offset points", xytext=(beside, -3), ha=side, fontsize=8
        )
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.margins(0.25)
    axes.grid(True, which="major", alpha=0.3)
    axes.set_xlabel("parameters, millions")
    axes.set_ylabel("median inference, ms")
    device = results[-1].device
    axes.set_title(f"{device.name}, {device.cores} cores; fastest runtime; peers: see the table")
    return _save(figure, path)


def _median(item: Measurement) -> float:
    return summary_of(item).median.value


def _network_name(subject: Subject) -> str:
    """One name for a network's files; of ours, one for each precision."""
    if subject.role == "artifact":
        return f"SqueezeSAM {subject.precision}"
    return subject.name.rpartition(" .")[0] or subject.name


def _comparable(results: Sequence[BenchmarkResult]) -> list[Measurement]:
    """Peers and the `paper` artifacts at the most threads that were measured."""
    found = []
    for result in results:
        most = max((item.setup.threads or 0) for item in result.measurements)
        for item in result.measurements:
            ours = item.subject.role == "artifact" and item.subject.preset == "paper"
            if (ours or item.subject.role == "peer") and (item.setup.threads or 0) == most:
                found.append(item)
    return found


def _figure(*, width: float, height: float) -> "Figure":
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        raise MissingDependencyError(
            "plots need matplotlib: pip install 'sqsam-deploy[bench]'"
        ) from None
    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: "Figure", path: Path) -> Path:
    """As SVG with text as text, and without a date, so that the same result gives the same file."""
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "sqsam"}):
        figure.savefig(path, format="svg", metadata={"Date": None})
    return path

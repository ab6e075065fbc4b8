"""The cost of int8 in each layer: signal-to-noise ratio and range, and where they are drawn."""

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sqsam_deploy.quantization.graph import module_name
from sqsam_deploy.quantization.layers import FloatLayer, LayerReport
from sqsam_deploy.quantization.pt2e import QuantizedModel
from sqsam_deploy.report.plot import (
    CHARACTER,
    NOT_NARROW,
    PHONE,
    Axis,
    Tick,
    stepped_axis,
    stepped_ticks,
    tick,
)

#: Layers that are named below the plot.
NAMED = 10
#: What the plot and the table call the place where the inputs are joined.
INPUT_NAME = "image and prompt maps"


@dataclass(frozen=True)
class FloatGroup:
    """Things that stayed in float for one reason."""

    op: str
    reason: str
    count: int
    names: tuple[str, ...]


@dataclass(frozen=True)
class QuantizedLayers:
    """One int8 program.

    Attributes:
        title: How it was quantized.
        layers: In the order in which they run.
        worst: The layers with the lowest signal-to-noise ratio, lowest first.
        kept_float: What has no int8 arithmetic.
    """

    title: str
    layers: tuple[LayerReport, ...]
    worst: tuple[LayerReport, ...]
    kept_float: tuple[FloatGroup, ...]


def quantized_layers(quantized: QuantizedModel) -> QuantizedLayers:
    """The layers of one int8 program."""
    scheme = quantized.scheme
    kept = f", {', '.join(scheme.keep_float)} kept in float" if scheme.keep_float else ""
    refined = "".join(f", {refinement}" for refinement in scheme.refinements)
    return QuantizedLayers(
        title=f"ranges: {scheme.ranges}{refined}{kept}",
        layers=in_network_order(quantized),
        worst=quantized.layers[:NAMED],
        kept_float=_float_groups(quantized.kept_float),
    )


def in_network_order(quantized: QuantizedModel) -> tuple[LayerReport, ...]:
    """The layers as the program calls them; a module's operators stand together."""
    first: dict[str, int] = {}
    for position, node in enumerate(quantized.program.graph.nodes):
        if node.op == "call_function":
            first.setdefault(module_name(node), position)
    return tuple(sorted(quantized.layers, key=lambda layer: first.get(layer.name, -1)))


def display_name(layer: LayerReport) -> str:
    """Its module; what lies outside all modules is the input."""
    return layer.name or INPUT_NAME


def _float_groups(kept: Sequence[FloatLayer]) -> tuple[FloatGroup, ...]:
    counts = Counter((layer.op, layer.reason) for layer in kept)
    return tuple(
        FloatGroup(
            op,
            reason,
            count,
            tuple(dict.fromkeys(k.name for k in kept if (k.op, k.reason) == (op, reason))),
        )
        for (op, reason), count in counts.items()
    )


_HEIGHT = 472
#: Percent of the width: the page, a phone's too, decides how many pixels that is.
LEFT, RIGHT = 9.0, 99.0
_WIDEST_BAR = 1.2
_RATIO_TOP, _RATIO_BOTTOM = 40, 236
_RANGE_TOP, _RANGE_BOTTOM = 296, 460
#: Lowest and highest value of int8.
_INT8 = (-128, 127)
_DECIBEL_STEP = 10


@dataclass(frozen=True)
class Stage:
    """A run of layers of one part of the network.

    Attributes:
        x: Its left end, in percent of the width.
        width: In percent.
        name: Of the part.
        fits: Where there is room for the name: "anywhere", on a "wide" page only, or "nowhere".
    """

    x: float
    width: float
    name: str
    fits: Literal["anywhere", "wide", "nowhere"]


@dataclass(frozen=True)
class Mark:
    """One layer.

    Attributes:
        x: Its middle, in percent of the width.
        snr_y: Of its ratio; a lossless layer's is the top.
        lossless: Whether int8 has no error at all there, and no ratio.
        rank: Its number in the table of the worst; None for the others.
        seen: Top and bottom of the float activations' range.
        held: Top and bottom of what its int8 can hold.
        op: Its operator, which gives the color.
        text: Everything about it, for who points at it.
    """

    x: float
    snr_y: float
    lossless: bool
    rank: int | None
    seen: tuple[float, float]
    held: tuple[float, float]
    op: str
    text: str


@dataclass(frozen=True)
class LayerPlot:
    """The whole drawing: places across are percent of the width, heights are pixels."""

    title: str
    marks: tuple[Mark, ...]
    stages: tuple[Stage, ...]
    ratio_ticks: tuple[Tick, ...]
    range_ticks: tuple[Tick, ...]
    bar_width: float
    height: int = _HEIGHT
    left: float = LEFT
    right: float = RIGHT
    ratio_top: int = _RATIO_TOP
    ratio_bottom: int = _RATIO_BOTTOM
    range_top: int = _RANGE_TOP
    range_bottom: int = _RANGE_BOTTOM


def layer_plot(quantized: QuantizedLayers) -> LayerPlot:
    """Places every layer of one int8 program."""
    layers = quantized.layers
    step = (RIGHT - LEFT) / max(len(layers), 1)
    ratio, extent = _ratio_axis(layers), _range_axis(layers)
    ranks = {id(layer): rank for rank, layer in enumerate(quantized.worst, start=1)}
    return LayerPlot(
        title=quantized.title,
        marks=tuple(
            _mark(layer, LEFT + (i + 0.5) * step, ratio, extent, ranks.get(id(layer)))
            for i, layer in enumerate(layers)
        ),
        stages=tuple(stages((layer.name for layer in layers), step)),
        ratio_ticks=stepped_ticks(ratio, _DECIBEL_STEP),
        range_ticks=_range_ticks(extent),
        bar_width=round(min(0.62 * step, _WIDEST_BAR), 2),
    )


def _mark(layer: LayerReport, x: float, ratio: Axis, extent: Axis, rank: int | None) -> Mark:
    low, high = held_range(layer)
    snr = "no error" if math.isinf(layer.snr_db) else f"{layer.snr_db:.1f} dB"
    return Mark(
        x=round(x, 2),
        snr_y=ratio.at(layer.snr_db),
        lossless=math.isinf(layer.snr_db),
        rank=rank,
        seen=(extent.at(squeezed(layer.maximum)), extent.at(squeezed(layer.minimum))),
        held=(extent.at(squeezed(high)), extent.at(squeezed(low))),
        op=layer.op,
        text=f"{display_name(layer)} ({layer.op}): {snr}, {layer.minimum:.4g} to "
        f"{layer.maximum:.4g}, step {layer.scale:.4g}",
    )


def held_range(layer: LayerReport) -> tuple[float, float]:
    """Lowest and highest value that the layer's int8 output can hold."""
    low, high = ((value - layer.zero_point) * layer.scale for value in _INT8)
    return low, high


def squeezed(value: float) -> float:
    """A logarithmic scale that has zero and a sign: nearly linear up to 1."""
    return math.copysign(math.log10(1 + abs(value)), value)


def _ratio_axis(layers: Sequence[LayerReport]) -> Axis:
    ratios = [layer.snr_db for layer in layers if math.isfinite(layer.snr_db)] or [0.0]
    return stepped_axis(ratios, _DECIBEL_STEP, _RATIO_BOTTOM, _RATIO_TOP)


def _range_axis(layers: Sequence[LayerReport]) -> Axis:
    ends = [end for layer in layers for end in (*held_range(layer), layer.minimum, layer.maximum)]
    low, high = min(ends, default=0.0), max(ends, default=1.0)
    return Axis(squeezed(min(low, 0.0)), squeezed(high), _RANGE_BOTTOM, _RANGE_TOP)


def _range_ticks(axis: Axis) -> tuple[Tick, ...]:
    values = (-1000, -100, -10, -1, 0, 1, 10, 100, 1000)
    shown = (value for value in values if axis.low <= squeezed(value) <= axis.high)
    return tuple(tick(axis, squeezed(value), value) for value in shown)


def stages(names: Iterable[str], step: float) -> list[Stage]:
    """The parts of the network that modules of these names, in their order, belong to.

    Args:
        names: Dotted; empty for the input.
        step: Width of one, in percent.
    """
    found, start = [], 0
    for name, run in itertools.groupby(names, key=lambda name: name.partition(".")[0]):
        count = len(list(run))
        width, shown = count * step, name or "input"
        x, fits = LEFT + start * step, _room(width, shown)
        found.append(Stage(round(x, 2), round(width, 2), shown, fits))
        start += count
    return found


def _room(percent: float, name: str) -> Literal["anywhere", "wide", "nowhere"]:
    needed = 100 * CHARACTER * len(name) / percent
    if needed <= PHONE:
        return "anywhere"
    return "wide" if needed <= NOT_NARROW else "nowhere"

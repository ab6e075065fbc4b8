"""What int8 costs each layer, in the order of the network."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from sqsam_deploy.quantization.graph import module_name
from sqsam_deploy.quantization.layers import FloatLayer, LayerReport
from sqsam_deploy.quantization.pt2e import QuantizedModel

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
    return QuantizedLayers(
        title=f"ranges: {scheme.ranges}{kept}",
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

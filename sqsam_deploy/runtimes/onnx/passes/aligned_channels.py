"""Channel counts that are multiples of four.

ONNX Runtime's integer convolutions multiply four bytes at a time and leave channel counts that four
does not divide to a slower general kernel. Folding a norm behind a ReLU adds one constant channel
(129 instead of 128); three more that are always zero cost nothing beside that.
"""

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from sqsam_deploy.runtimes.onnx.passes.filters import Filters, filters_of, set_filters
from sqsam_deploy.runtimes.onnx.passes.graph import first_input, sizes_of

#: Bytes that one multiply-accumulate instruction joins.
ALIGNMENT = 4


@dataclass(frozen=True)
class _Layout:
    """Where the channels of a padded map are.

    Attributes:
        places: Index of each of the original channels, in order.
        channels: Channels with the padding.
    """

    places: NDArray[np.intp]
    channels: int


def align_channels(model: ir.Model) -> int:
    """Adds zero channels to the maps that only convolutions, pooling and joins read. Exact.

    Expects pooling and joins on quantized values (`keep_moves_quantized`).

    Returns:
        Convolutions whose outputs were padded.
    """
    layouts: dict[ir.Value, _Layout] = {}
    padded = 0
    for node in list(model.graph):
        if node.op_type == "Conv":
            _take_padded_input(model.graph, node, layouts)
            padded += _pad_output(model.graph, node, layouts)
        elif any(value in layouts for value in node.inputs):
            _pass_on(node, layouts)
    return padded


def _take_padded_input(
    graph: ir.Graph, convolution: ir.Node, layouts: dict[ir.Value, _Layout]
) -> None:
    layout = layouts.get(first_input(convolution))
    if layout is None:
        return
    filters = filters_of(convolution)
    assert filters is not None
    outputs, _, rows, columns = filters.values.shape
    values = np.zeros((outputs, layout.channels, rows, columns), np.int8)
    values[:, layout.places] = filters.values
    set_filters(graph, convolution, Filters(values, filters.scales, filters.bias), "widened")


def _pad_output(graph: ir.Graph, convolution: ir.Node, layouts: dict[ir.Value, _Layout]) -> bool:
    filters, (output,) = filters_of(convolution), convolution.outputs
    if filters is None or not _can_be_padded(output):
        return False
    count = len(filters.scales)
    missing = -count % ALIGNMENT
    if missing == 0:
        return False
    padded = Filters(
        values=np.pad(filters.values, ((0, missing), (0, 0), (0, 0), (0, 0))),
        scales=np.pad(filters.scales, (0, missing), constant_values=1.0),
        bias=np.pad(filters.bias, (0, missing)),
    )
    set_filters(graph, convolution, padded, "aligned")
    layouts[output] = _Layout(np.arange(count), count + missing)
    _widen(output, count + missing)
    return True


def _can_be_padded(value: ir.Value) -> bool:
    """Whether everything that reads a map reads it channel by channel, to a convolution's end."""
    if value.is_graph_output():
        return False
    return all(_reads_channels(node) for node in value.consumers())


def _reads_channels(node: ir.Node) -> bool:
    if node.op_type == "Conv":
        return filters_of(node) is not None
    if node.op_type == "Concat" and node.attributes["axis"].as_int() != 1:
        return False
    passing = ("QuantizeLinear", "DequantizeLinear", "Relu", "MaxPool", "Concat")
    return node.op_type in passing and _can_be_padded(node.outputs[0])


def _pass_on(node: ir.Node, layouts: dict[ir.Value, _Layout]) -> None:
    """The layout of a result, from those of its inputs."""
    maps = node.inputs if node.op_type == "Concat" else node.inputs[:1]
    places, start = [], 0
    for value in maps:
        assert value is not None
        count = sizes_of(value)[1]
        layout = layouts.get(value, _Layout(np.arange(count), count))
        places.append(start + layout.places)
        start += layout.channels
    layouts[node.outputs[0]] = _Layout(np.concatenate(places), start)
    _widen(node.outputs[0], start)


def _widen(value: ir.Value, channels: int) -> None:
    batch, _, height, width = sizes_of(value)
    value.shape = ir.Shape([batch, channels, height, width])

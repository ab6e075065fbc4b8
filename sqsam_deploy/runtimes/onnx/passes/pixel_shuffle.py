"""Pixel shuffle behind a 1x1 convolution, with the channels last.

torch orders the channels of a shuffle as (channel, row, column), which scatters single bytes. The
convolution can as well make them as (row, column, channel): then whole rows of channels move.
"""

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from sqsam_deploy.runtimes.onnx.passes.filters import Filters, filters_of, set_filters
from sqsam_deploy.runtimes.onnx.passes.graph import Emitter, only_reader, producer_of, sizes_of
from sqsam_deploy.runtimes.onnx.passes.subpixels import spread_tiles

#: The permutation that `sqsam_deploy.quantization.rewrites.pixel_shuffle` writes between reshapes.
_SHUFFLE = [0, 3, 1, 4, 2]


class MoveShufflesChannelsLast(ir.passes.InPlacePass):
    """Reorders the output channels of each convolution that a pixel shuffle reads. Exact.

    Expects the shuffle on quantized values (`KeepMovesQuantized`), and constants that are added
    before it as convolutions (`ShiftByConvolution`).
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Applies the pass in place."""
        transposes = [
            node
            for node in model.graph
            if node.op_type == "Transpose" and list(node.attributes["perm"].as_ints()) == _SHUFFLE
        ]
        count = sum(_move(model.graph, node) for node in transposes)
        return ir.passes.PassResult(model, modified=count > 0)


def _move(graph: ir.Graph, transpose: ir.Node) -> bool:
    split = producer_of(transpose.inputs[0], "Reshape")
    join = only_reader(transpose.outputs[0], "Reshape")
    tiles = None if split is None else split.inputs[0]
    if tiles is None or join is None or transpose.inputs[0] is None:
        return False
    convolutions = _convolutions_behind(tiles)
    if not convolutions:
        return False
    channels, rows, columns, _, _ = sizes_of(transpose.inputs[0])
    order = np.arange(channels * rows * columns).reshape(channels, rows, columns)
    for convolution, filters in convolutions:
        reordered = _reordered(filters, order.transpose(1, 2, 0).ravel())
        set_filters(graph, convolution, reordered, "reordered")
    join.outputs[0].replace_all_uses_with(
        spread_tiles(Emitter(graph, transpose), tiles, rows, columns)
    )
    return True


def _convolutions_behind(tiles: ir.Value) -> list[tuple[ir.Node, Filters]]:
    """The convolution that makes the channels, behind those that keep them apart.

    Empty where there is none, or where something else reads the channels on the way.
    """
    found: list[tuple[ir.Node, Filters]] = []
    value: ir.Value | None = tiles
    while value is not None and len(value.uses()) == 1:
        quantize = producer_of(value, "QuantizeLinear")
        convolution = None if quantize is None else producer_of(quantize.inputs[0], "Conv")
        filters = None if convolution is None else filters_of(convolution)
        if convolution is None or filters is None:
            return []
        found.append((convolution, filters))
        group = convolution.attributes.get("group")
        if group is None or group.as_int() == 1:
            return found
        source = producer_of(convolution.inputs[0], "DequantizeLinear")
        value = None if source is None else source.inputs[0]
    return []


def _reordered(filters: Filters, order: NDArray[np.intp]) -> Filters:
    """Output channel i becomes what `order[i]` was."""
    return Filters(filters.values[order], filters.scales[order], filters.bias[order])

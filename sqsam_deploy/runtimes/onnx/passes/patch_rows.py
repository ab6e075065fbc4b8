"""The patch embedding over rows of pixels.

Patches do not overlap, and with the channels last a patch's row of pixels is contiguous: PxP pixels
of 5 channels are P rows of one pixel with 5*P channels. That kernel is one column wide and gathers
nothing, and integer kernels take its channel count (5 is none that four divides). Where four does
not divide 5*P either, neighboring patches are computed as one, with zeros between them.
"""

import math

import numpy as np
import onnx_ir as ir

from sqsam_deploy.runtimes.onnx.passes.filters import Filters, filters_of, set_filters
from sqsam_deploy.runtimes.onnx.passes.graph import Emitter, only_reader, producer_of, sizes_of

#: Values that one multiply-accumulate instruction joins: kernels take multiples of it.
ALIGNMENT = 4

_CHANNELS_LAST = (0, 2, 3, 1)
_CHANNELS_FIRST = (0, 3, 1, 2)


class EmbedRows(ir.passes.InPlacePass):
    """Rewrites each int8 convolution of patches that reads a map with the channels last. Exact."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Applies the pass in place."""
        nodes = [node for node in model.graph if node.op_type == "Conv" and _takes_patches(node)]
        count = sum(_rewrite(model.graph, node) for node in nodes)
        return ir.passes.PassResult(model, modified=count > 0)


def _takes_patches(node: ir.Node) -> bool:
    rows, columns = node.attributes["kernel_shape"].as_ints()
    strides, pads = node.attributes.get("strides"), node.attributes.get("pads")
    return (
        columns > 1
        and strides is not None
        and tuple(strides.as_ints()) == (rows, columns)
        and (pads is None or not any(pads.as_ints()))
    )


def _rewrite(graph: ir.Graph, node: ir.Node) -> bool:
    filters, source = filters_of(node), producer_of(node.inputs[0], "DequantizeLinear")
    quantize = only_reader(node.outputs[0], "QuantizeLinear")
    planes = None if source is None else producer_of(source.inputs[0], "Transpose")
    if filters is None or source is None or quantize is None or planes is None:
        return False
    if tuple(planes.attributes["perm"].as_ints()) != _CHANNELS_FIRST:
        return False
    joined = _patches_at_once(filters)
    _read_rows(Emitter(graph, source), source, planes.inputs[0], filters, joined)
    rows = filters.values.shape[2]
    set_filters(graph, node, _row_filters(filters, joined), "rows")
    for name in ("kernel_shape", "strides"):
        node.attributes[name] = ir.AttrInt64s(name, [rows, 1])
    _separate(graph, node, quantize, joined)
    return True


def _patches_at_once(filters: Filters) -> int:
    """Fewest neighboring patches whose rows hold a number of values that kernels take."""
    _, channels, _, columns = filters.values.shape
    return ALIGNMENT // math.gcd(ALIGNMENT, columns * channels)


def _read_rows(
    emitter: Emitter, source: ir.Node, pixels: ir.Value | None, filters: Filters, joined: int
) -> None:
    """Lets the convolution's DequantizeLinear read 1x(joined*P*C)xSx(S/(joined*P))."""
    assert pixels is not None
    _, height, width, channels = sizes_of(pixels)
    columns = filters.values.shape[3] * joined
    name = f"{pixels.name}_rows"
    rows = emitter.reshape(
        pixels, 1, height, width // columns, columns * channels, name=f"{name}_last"
    )
    planes = emitter.transpose(rows, *_CHANNELS_FIRST, name=name)
    source.replace_input_with(0, planes)
    source.outputs[0].shape = planes.shape


def _row_filters(filters: Filters, joined: int) -> Filters:
    """OxCxPxP as (joined*O)x(joined*P*C)xPx1; output channel patch * O + o."""
    outputs, channels, rows, columns = filters.values.shape
    one = filters.values.transpose(0, 3, 1, 2).reshape(outputs, columns * channels, rows)
    values = np.zeros((joined, outputs, joined, columns * channels, rows), np.int8)
    for patch in range(joined):
        values[patch, :, patch] = one
    return Filters(
        values=values.reshape(joined * outputs, -1, rows, 1),
        scales=np.tile(filters.scales, joined),
        bias=np.tile(filters.bias, joined),
    )


def _separate(graph: ir.Graph, node: ir.Node, quantize: ir.Node, joined: int) -> None:
    """Turns the channels of `joined` patches back into neighboring pixels."""
    if joined == 1:
        return
    (output,), (quantized,) = node.outputs, quantize.outputs
    readers = list(quantized.uses())
    batch, channels, height, width = sizes_of(output)
    for value in (output, quantized):
        value.shape = ir.Shape([batch, channels * joined, height, width // joined])
    emitter, name = Emitter(graph, readers[0].node), f"{quantized.name}_patches"
    last = emitter.transpose(quantized, *_CHANNELS_LAST, name=f"{name}_last")
    split = emitter.reshape(last, batch, height, width, channels, name=f"{name}_split")
    patches = emitter.transpose(split, *_CHANNELS_FIRST, name=name)
    for reader, index in readers:
        reader.replace_input_with(index, patches)

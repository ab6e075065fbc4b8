"""2x2 transposed convolution with stride 2 as a 1x1 convolution whose channels are spread.

Its patches do not overlap: every output pixel is one 1x1 product, so four times the channels hold
all of them (the sub-pixel form of Shi et al., arXiv 1609.07009). ONNX Runtime has no integer
ConvTranspose.
"""

import numpy as np
import onnx_ir as ir

from sqsam_deploy.runtimes.onnx.passes.filters import Filters, filters_of, set_filters
from sqsam_deploy.runtimes.onnx.passes.graph import Emitter, only_reader, sizes_of
from sqsam_deploy.runtimes.onnx.passes.subpixels import spread_tiles


class RewriteUpsampling(ir.passes.InPlacePass):
    """Replaces each int8 transposed convolution whose kernel is as large as its stride. Exact."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Applies the pass in place."""
        nodes = [node for node in model.graph if node.op_type == "ConvTranspose"]
        count = sum(_rewrite(model.graph, node) for node in nodes if _tiles(node))
        return ir.passes.PassResult(model, modified=count > 0)


def _tiles(node: ir.Node) -> bool:
    """Whether the patches of neighboring pixels touch and do not overlap."""
    attributes = node.attributes
    return (
        attributes["kernel_shape"].as_ints() == attributes["strides"].as_ints()
        and not any(attributes["pads"].as_ints())
        and attributes["group"].as_int() == 1
    )


def _rewrite(graph: ir.Graph, node: ir.Node) -> bool:
    filters = filters_of(node)
    if filters is None:
        return False
    rows, columns = node.attributes["kernel_shape"].as_ints()
    (output,) = node.outputs
    _, channels, height, width = sizes_of(output)
    low = (1, channels * rows * columns, height // rows, width // columns)
    tiles = ir.val(f"{output.name}_tiles", output.dtype, low)
    pointwise = ir.node("Conv", node.inputs, {"kernel_shape": [1, 1]}, outputs=[tiles])
    graph.insert_before(node, pointwise)
    set_filters(graph, pointwise, _tiled(filters), "tiles")
    output.replace_all_uses_with(tiles)
    # Activation and quantization stay with the convolution; their result is what is spread.
    while (reader := only_reader(tiles, "Relu", "QuantizeLinear")) is not None:
        (tiles,) = reader.outputs
        tiles.shape = ir.Shape(low)
    readers = list(tiles.uses())
    spread = spread_tiles(Emitter(graph, readers[0].node), tiles, rows, columns)
    for reader, index in readers:
        reader.replace_input_with(index, spread)
    return True


def _tiled(filters: Filters) -> Filters:
    """Output channel (row * columns + column) * O + o."""
    inputs, _, rows, columns = filters.values.shape
    return Filters(
        values=filters.values.transpose(2, 3, 1, 0).reshape(-1, inputs, 1, 1),
        scales=np.tile(filters.scales, rows * columns),
        bias=np.tile(filters.bias, rows * columns),
    )

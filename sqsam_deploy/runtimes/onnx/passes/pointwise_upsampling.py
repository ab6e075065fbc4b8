"""2x2 transposed convolution with stride 2 as a 1x1 convolution and a rearrangement.

Its patches do not overlap: every output pixel is one 1x1 product, so four times the channels hold
all of them (the sub-pixel form of Shi et al., arXiv 1609.07009). ONNX Runtime has no integer
ConvTranspose. The rearrangement is spelled as transposes with the channels last, the layout its
integer convolutions work in, where it copies whole rows of channels.
"""

import numpy as np
import onnx_ir as ir

from sqsam_deploy.runtimes.onnx.passes.graph import (
    add_constant,
    array_of,
    only_reader,
    producer_of,
    sizes_of,
)


def rewrite_upsampling(model: ir.Model) -> int:
    """Replaces each transposed convolution whose kernel is as large as its stride.

    Exact up to the order of a float sum; exact for the quantized values.

    Returns:
        Transposed convolutions replaced.
    """
    nodes = [node for node in model.graph if node.op_type == "ConvTranspose"]
    return sum(_rewrite(model.graph, node) for node in nodes if _tiles(node))


def _tiles(node: ir.Node) -> bool:
    """Whether the patches of neighbouring pixels touch and do not overlap."""
    attributes = node.attributes
    kernel = tuple(attributes["kernel_shape"].as_ints())
    return (
        kernel == tuple(attributes["strides"].as_ints())
        and not any(attributes["pads"].as_ints())
        and attributes["group"].as_int() == 1
    )


def _rewrite(graph: ir.Graph, node: ir.Node) -> bool:
    rows, columns = node.attributes["kernel_shape"].as_ints()
    (output,) = node.outputs
    _, channels, height, width = sizes_of(output)
    low = (1, channels * rows * columns, height // rows, width // columns)
    convolution = _tile_convolution(graph, node, low)
    # Activation and quantization stay with the convolution; their result is what is rearranged.
    output.replace_all_uses_with(convolution.outputs[0])
    end = convolution.outputs[0]
    while (reader := only_reader(end, "Relu", "QuantizeLinear")) is not None:
        (end,) = reader.outputs
        end.shape = ir.Shape(low)
    _arrange(graph, end, rows, columns)
    return True


def _tile_convolution(graph: ir.Graph, node: ir.Node, shape: tuple[int, ...]) -> ir.Node:
    """The 1x1 convolution; output channel (row * columns + column) * channels + channel."""
    x, weight, bias = node.inputs
    assert x is not None and weight is not None and bias is not None
    tiles = shape[1] // sizes_of(bias)[0]
    name = node.outputs[0].name
    convolution = ir.node(
        "Conv",
        [x, _tile_weight(graph, node, weight, tiles), _tiled(graph, bias, tiles)],
        {"kernel_shape": [1, 1]},
        outputs=[ir.val(f"{name}_tiles", node.outputs[0].dtype, shape)],
    )
    graph.insert_before(node, convolution)
    return convolution


def _tile_weight(graph: ir.Graph, node: ir.Node, weight: ir.Value, tiles: int) -> ir.Value:
    """(in, out, rows, columns), dequantized or not, as (rows * columns * out, in, 1, 1)."""
    dequantize = producer_of(weight, "DequantizeLinear")
    stored = weight if dequantize is None else dequantize.inputs[0]
    values = array_of(stored)
    assert stored is not None and values is not None
    pointwise = values.transpose(2, 3, 1, 0).reshape(-1, values.shape[0], 1, 1)
    constant = add_constant(graph, f"{stored.name}_tiles", np.ascontiguousarray(pointwise))
    if dequantize is None:
        return constant
    parameters = [_tiled(graph, value, tiles) for value in dequantize.inputs[1:]]
    tiled = ir.node(
        "DequantizeLinear",
        [constant, *parameters],
        {"axis": 0},
        outputs=[ir.val(f"{weight.name}_tiles", weight.dtype, constant.shape)],
    )
    graph.insert_before(node, tiled)
    return tiled.outputs[0]


def _tiled(graph: ir.Graph, value: ir.Value | None, tiles: int) -> ir.Value:
    array = array_of(value)
    assert value is not None and array is not None
    return add_constant(graph, f"{value.name}_x{tiles}", np.tile(array, tiles))


def _arrange(graph: ir.Graph, tiles: ir.Value, rows: int, columns: int) -> None:
    """1x(rows*columns*C)xHxW -> 1xCx(rows*H)x(columns*W), between `tiles` and its readers."""
    _, depth, height, width = sizes_of(tiles)
    channels = depth // (rows * columns)
    steps: tuple[tuple[str, list[int]], ...] = (
        ("Transpose", [0, 2, 3, 1]),
        ("Reshape", [height, width, rows, columns * channels]),
        ("Transpose", [0, 2, 1, 3]),
        ("Reshape", [1, rows * height, columns * width, channels]),
        ("Transpose", [0, 3, 1, 2]),
    )
    readers = list(tiles.uses())
    last, value = tiles.producer(), tiles
    assert last is not None
    for number, (op_type, argument) in enumerate(steps):
        last, value = _move(graph, last, value, op_type, argument, f"{tiles.name}_moved_{number}")
    for reader, index in readers:
        reader.replace_input_with(index, value)


def _move(
    graph: ir.Graph, after: ir.Node, x: ir.Value, op_type: str, argument: list[int], name: str
) -> tuple[ir.Node, ir.Value]:
    if op_type == "Transpose":
        shape = tuple(sizes_of(x)[axis] for axis in argument)
        inputs, attributes = [x], {"perm": argument}
    else:
        shape = tuple(argument)
        label = "shape_" + "x".join(map(str, argument))
        inputs = [x, add_constant(graph, label, np.array(argument, np.int64))]
        attributes = {}
    node = ir.node(op_type, inputs, attributes, outputs=[ir.val(name, x.dtype, shape)])
    graph.insert_after(after, node)
    return node, node.outputs[0]

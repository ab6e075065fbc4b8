"""Spreading a pixel's channels over a square of pixels, channels last.

What up-sampling does behind its 1x1 convolution. ONNX Runtime's integer convolutions work with the
channels last; spelled as transposes in that layout, the move copies whole rows of channels.
"""

import numpy as np
import onnx_ir as ir

from sqsam_deploy.runtimes.onnx.passes.graph import add_constant, sizes_of


def spread_tiles(graph: ir.Graph, tiles: ir.Value, rows: int, columns: int) -> ir.Value:
    """Adds the move behind `tiles`.

    Args:
        graph: Where `tiles` is made.
        tiles: 1x(rows*columns*C)xHxW; channel (row * columns + column) * C + c.
        rows: Height of the square.
        columns: Its width.

    Returns:
        1xCx(rows*H)x(columns*W).
    """
    _, depth, height, width = sizes_of(tiles)
    channels = depth // (rows * columns)
    steps: tuple[tuple[str, list[int]], ...] = (
        ("Transpose", [0, 2, 3, 1]),
        ("Reshape", [height, width, rows, columns * channels]),
        ("Transpose", [0, 2, 1, 3]),
        ("Reshape", [1, rows * height, columns * width, channels]),
        ("Transpose", [0, 3, 1, 2]),
    )
    after, value = tiles.producer(), tiles
    assert after is not None
    for number, (op_type, argument) in enumerate(steps):
        move = _move(graph, value, op_type, argument, f"{tiles.name}_spread_{number}")
        graph.insert_after(after, move)
        after, value = move, move.outputs[0]
    return value


def _move(graph: ir.Graph, x: ir.Value, op_type: str, argument: list[int], name: str) -> ir.Node:
    if op_type == "Transpose":
        shape = [sizes_of(x)[axis] for axis in argument]
        output = ir.val(name, x.dtype, shape)
        return ir.node(op_type, [x], {"perm": argument}, outputs=[output])
    label = "shape_" + "x".join(map(str, argument))
    target = add_constant(graph, label, np.array(argument, np.int64))
    return ir.node(op_type, [x, target], outputs=[ir.val(name, x.dtype, argument)])

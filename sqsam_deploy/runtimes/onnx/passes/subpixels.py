"""Spreading a pixel's channels over a square of pixels, channels last.

An upsampling ends with it, behind a 1x1 convolution. ONNX Runtime's integer convolutions work with
the channels last; spelled as transposes in that order, the move copies whole rows of channels.
"""

import onnx_ir as ir

from sqsam_deploy.runtimes.onnx.passes.graph import Emitter, sizes_of


def spread_tiles(emitter: Emitter, tiles: ir.Value, rows: int, columns: int) -> ir.Value:
    """Adds the move behind `tiles`.

    Args:
        emitter: Adds nodes before the first that reads the result.
        tiles: 1x(rows*columns*C)xHxW; channel (row * columns + column) * C + c.
        rows: Height of the square.
        columns: Its width.

    Returns:
        1xCx(rows*H)x(columns*W).
    """
    _, depth, height, width = sizes_of(tiles)
    channels = depth // (rows * columns)
    name = f"{tiles.name}_spread"
    x = emitter.transpose(tiles, 0, 2, 3, 1, name=f"{name}_last")
    x = emitter.reshape(x, height, width, rows, columns * channels, name=f"{name}_split")
    x = emitter.transpose(x, 0, 2, 1, 3, name=f"{name}_rows")
    x = emitter.reshape(x, 1, rows * height, columns * width, channels, name=f"{name}_joined")
    return emitter.transpose(x, 0, 3, 1, 2, name=name)

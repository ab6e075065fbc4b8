"""Image and prompt maps as one int8 tensor, interleaved as cameras and canvases have them.

The quantized program begins by rounding 5xSxS floats to whole numbers from 0 to 255 and turning
them channels last. Here it takes the numbers themselves, minus 128, as 1xSxSx5. Where the first
convolution takes patches side by side, a row of a patch is a run of neighboring bytes, so a kernel
of k x 1 over k times as many channels reads them without any rearrangement.
"""

import torch
from torch import Tensor
from torch.fx import GraphModule, Node
from torch.fx.passes.infra.pass_base import PassBase, PassResult

from sqsam_deploy.artifact.metadata import PIXELS
from sqsam_deploy.quantization.observers import PIXEL_SCALE, PIXEL_ZERO_POINT
from sqsam_deploy.runtimes.executorch.passes.graph import (
    DEQUANTIZE,
    DEQUANTIZE_CHANNELS,
    Move,
    add_constant,
    aten,
    constant,
    integers,
    move,
    node_argument,
)

#: Scale 1 and the zero point that makes int8 of 0..255: no pixel is rounded.
EXACT = (PIXEL_SCALE, PIXEL_ZERO_POINT, -128, 127, torch.int8)


class TakeInterleavedPixels(PassBase):
    """Replaces the image inputs up to the first convolution."""

    def call(self, module: GraphModule) -> PassResult:
        """Applies the pass in place."""
        graph = module.graph
        conv = next(node for node in graph.nodes if node.target is aten.conv2d.default)
        planes = node_argument(conv.args[0])
        _, channels, size, _ = planes.meta["val"].shape
        inputs = _sources(planes)
        with graph.inserting_before(inputs[0]):
            pixels = graph.placeholder(PIXELS)
        with graph.inserting_before(conv):
            moves, weight, stride = _patch_rows(module, conv, channels, size)
            x = graph.call_function(DEQUANTIZE, (move(module, pixels, EXACT, moves), *EXACT))
        conv.args = (x, weight, conv.args[2], stride, *conv.args[4:])
        graph.eliminate_dead_code()
        for node in inputs:
            graph.erase_node(node)
        pixels.meta["val"] = torch.zeros(1, size, size, channels, dtype=torch.int8)
        return PassResult(module, True)


def joined_inputs(module: GraphModule, example: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    """Example inputs of a graph behind `TakeInterleavedPixels`: pixels 1xSxSxC int8, the others.

    Args:
        module: The graph.
        example: The inputs before the pass.
    """
    pixels, *others = [node for node in module.graph.nodes if node.op == "placeholder"]
    return (pixels.meta["val"], *example[len(example) - len(others) :])


def _sources(node: Node) -> list[Node]:
    """The program's inputs from which a value is made."""
    if node.op == "placeholder":
        return [node]
    return [source for each in node.all_input_nodes for source in _sources(each)]


def _patch_rows(
    module: GraphModule, conv: Node, channels: int, size: int
) -> tuple[list[Move], Node, list[int]]:
    """How the pixels are read, by which weight, with which stride."""
    weight = node_argument(conv.args[1])
    quantized = weight.target is DEQUANTIZE_CHANNELS
    source = weight.args[0] if quantized else weight
    values = constant(module, source)
    kernel = values.shape[-1]
    stride = integers(conv.args[3]) if len(conv.args) > 3 else [1, 1]
    to_planes: Move = (aten.permute.default, [0, 3, 1, 2])
    if len(conv.args) > 4 or stride != [kernel, kernel] or values.shape[-2] != kernel:
        return [to_planes], weight, stride
    rows: Move = (aten.reshape.default, [1, size, size // kernel, kernel * channels])
    # KxCxkxk -> Kx(k columns, C)xkx1
    by_rows = values.permute(0, 3, 1, 2).flatten(1, 2)[..., None]
    rearranged = add_constant(module, source, by_rows)
    if quantized:
        rearranged = module.graph.call_function(DEQUANTIZE_CHANNELS, (rearranged, *weight.args[1:]))
    return [rows, to_planes], rearranged, [kernel, 1]

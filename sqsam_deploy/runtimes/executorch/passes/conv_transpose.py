"""Transposed 2x2 convolution with stride 2 as a 1x1 convolution and a move of whole rows.

Every output pixel of such a convolution comes from one input pixel, so the four positions are four
times as many channels of a 1x1 convolution. XNNPACK's transposed convolution runs at a quarter of
the rate of its matrix product. The channels are laid out position first: then two neighboring
pixels' channels lie side by side already, and the move copies blocks.
"""

from torch.fx import GraphModule, Node
from torch.fx.passes.infra.pass_base import PassBase, PassResult

from sqsam_deploy.runtimes.executorch.passes.graph import (
    DEQUANTIZE_CHANNELS,
    QUANTIZE,
    Move,
    add_constant,
    aten,
    constant,
    move,
    node_argument,
    only_user,
)

_POSITIONS = 4


class SplitConvTranspose(PassBase):
    """Replaces each transposed convolution, with the ReLU and the quantization behind it."""

    def call(self, module: GraphModule) -> PassResult:
        """Applies the pass in place."""
        nodes = [n for n in module.graph.nodes if n.target is aten.conv_transpose2d.input]
        for node in nodes:
            self._split(module, node)
        return PassResult(module, bool(nodes))

    def _split(self, module: GraphModule, node: Node) -> None:
        _, channels, height, width = node.meta["val"].shape
        assert node_argument(node.args[1]).meta["val"].shape[2:] == (2, 2), "only 2x2, stride 2"
        last = _behind(_insert_pointwise(module, node))
        scale = last.args[1:] if last.target is QUANTIZE else ()
        readers = list(last.users)
        with module.graph.inserting_before(last.next):
            laid_out = move(module, last, scale, self.moves(channels, height, width))
        for reader in readers:
            reader.replace_input_with(last, laid_out)

    def moves(self, channels: int, height: int, width: int) -> list[Move]:
        """From 1x(row, column, channel)x(H/2)x(W/2) to 1xCxHxW."""
        return [
            (aten.reshape.default, [1, 2, 2, channels, height // 2, width // 2]),
            (aten.permute.default, [0, 3, 4, 1, 5, 2]),
            (aten.reshape.default, [1, channels, height, width]),
        ]


def _insert_pointwise(module: GraphModule, node: Node) -> Node:
    """The 1x1 convolution in place of `node`; its output has channels (row, column, channel)."""
    x, weight, bias = (node_argument(argument) for argument in node.args[:3])
    with module.graph.inserting_before(node):
        pointwise = module.graph.call_function(
            aten.conv2d.default,
            (
                x,
                _pointwise_weight(module, weight),
                add_constant(module, bias, constant(module, bias).repeat(_POSITIONS)),
            ),
        )
    node.replace_all_uses_with(pointwise)
    module.graph.erase_node(node)
    return pointwise


def _pointwise_weight(module: GraphModule, weight: Node) -> Node:
    """CxKx2x2 as 4KxCx1x1, with the scale of each output channel at its four positions."""
    quantized = weight.target is DEQUANTIZE_CHANNELS
    source = weight.args[0] if quantized else weight
    values = constant(module, source).permute(2, 3, 1, 0).flatten(0, 2)[:, :, None, None]
    pointwise = add_constant(module, source, values)
    if not quantized:
        return pointwise
    _, scales, zero_points, axis, *limits = weight.args
    assert axis == 1, "transposed convolutions have their output channels on axis 1"
    repeated = [
        add_constant(module, each, constant(module, each).repeat(_POSITIONS))
        for each in (scales, zero_points)
    ]
    return module.graph.call_function(DEQUANTIZE_CHANNELS, (pointwise, *repeated, 0, *limits))


def _behind(node: Node) -> Node:
    """The ReLU and the quantization that belong to a convolution, where it has them."""
    for target in (aten.relu.default, QUANTIZE):
        user = only_user(node)
        if user is not None and user.target is target:
            node = user
    return node

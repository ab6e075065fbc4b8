"""Rewrites of a traced program into what the converter and LiteRT's XNNPACK take.

They join those that ExecuTorch needs as well, see `sqsam_deploy.runtimes.executorch.passes`.
"""

import torch
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import Graph, GraphModule, Node
from torch.fx.graph import CodeGen
from torch.fx.node import Argument
from torch.fx.passes.infra.pass_base import PassBase, PassResult

from sqsam_deploy.runtimes.executorch.passes import SplitConvTranspose, TakeInterleavedPixels
from sqsam_deploy.runtimes.executorch.passes.graph import (
    DEQUANTIZE,
    DEQUANTIZE_CHANNELS,
    QUANTIZE,
    Move,
    add_constant,
    aten,
    constant,
    move,
    node_argument,
)
from sqsam_deploy.runtimes.executorch.passes.pixel_input import EXACT, joined_inputs

#: A product of weights and pixels has this many times more columns than rows.
_FLAT = 16

QUANTIZE_CHANNELS = torch.ops.quantized_decomposed.quantize_per_channel.default


def prepare(
    program: ExportedProgram, *, interleaved: bool
) -> tuple[GraphModule, tuple[Tensor, ...]]:
    """The program after every pass, and example inputs, which are floats.

    Args:
        program: From `sqsam_deploy.quantization`; not changed.
        interleaved: Take the image and the prompt maps as one tensor, int8 in the file. The
            program must be quantized.
    """
    module = program.module(check_guards=False)
    assert isinstance(module, GraphModule)
    example, _ = program.example_inputs
    passes: list[PassBase] = [
        ComputeInSinglePrecision(),
        JoinInFloat(),
        SliceInFloat(),
        MultiplyMasksByHalves(),
        SplitInRows(),
    ]
    for each in passes:
        each(module)
    if interleaved:
        TakeInterleavedPixels()(module)
        example = joined_inputs(module, example)
        QuantizePixels()(module)
        example = (example[0].float(), *example[1:])
    UnfoldWeights()(module)
    module.graph.eliminate_dead_code()
    # The inputs are no longer those that the module's hooks and signature check.
    module.graph.set_codegen(CodeGen())
    return GraphModule(module, module.graph), example


class ComputeInSinglePrecision(PassBase):
    """Half-precision arithmetic as single precision, on weights that keep their rounded values.

    LiteRT has no half-precision operators; XNNPACK computes a float graph in half precision on
    processors that can, where the file allows it.
    """

    def call(self, module: GraphModule) -> PassResult:
        """Applies the pass in place."""
        changed = False
        for node in module.graph.nodes:
            arguments = tuple(map(_single, node.args))
            keywords = {key: _single(value) for key, value in node.kwargs.items()}
            changed |= arguments != node.args or keywords != node.kwargs
            node.args, node.kwargs = arguments, keywords
        if changed:
            module.float()
        return PassResult(module, changed)


def _single(argument: Argument) -> Argument:
    return torch.float32 if argument is torch.float16 else argument


class JoinInFloat(PassBase):
    """Joins of dequantized values that stay float, kept apart from their quantization.

    The converter makes such a join int8 and gives all its inputs the scale of one of them. It
    does not look through a multiplication, so the inputs are doubled and the result is halved,
    which changes no bit.
    """

    def call(self, module: GraphModule) -> PassResult:
        """Applies the pass in place."""
        joins = [n for n in module.graph.nodes if n.target is aten.cat.default and _mixes(n)]
        for node in joins:
            with module.graph.inserting_before(node):
                for value in dict.fromkeys(node.all_input_nodes):
                    doubled = module.graph.call_function(aten.mul.Tensor, (value, 2.0))
                    node.replace_input_with(value, doubled)
            _halve(module.graph, node)
        return PassResult(module, bool(joins))


class SliceInFloat(PassBase):
    """Slices of one value that are quantized each with a scale of its own.

    The converter quantizes the value itself, with the scale of its first slice, and then each slice
    once more: what lies outside of the first one's range is lost. As in `JoinInFloat`, it does not
    look through a multiplication.
    """

    def call(self, module: GraphModule) -> PassResult:
        """Applies the pass in place."""
        changed = False
        for node in list(module.graph.nodes):
            slices = [user for user in node.users if _is_quantized_slice(user)]
            if len(slices) < 2:
                continue
            changed = True
            with module.graph.inserting_after(node):
                doubled = module.graph.call_function(aten.mul.Tensor, (node, 2.0))
            doubled.meta = dict(node.meta)
            for part in slices:
                part.replace_input_with(node, doubled)
                _halve(module.graph, part)
        return PassResult(module, changed)


def _halve(graph: Graph, node: Node) -> None:
    """Gives every reader of a value its half."""
    with graph.inserting_after(node):
        halved = graph.call_function(aten.mul.Tensor, (node, 0.5))
    halved.meta = dict(node.meta)
    for user in [each for each in node.users if each is not halved]:
        user.replace_input_with(node, halved)


def _is_quantized_slice(node: Node) -> bool:
    quantized = any(user.target is QUANTIZE for user in node.users)
    return node.target is aten.slice.Tensor and quantized


def _mixes(join: Node) -> bool:
    """Whether a join reads quantized values and is not quantized itself."""
    reads = any(_behind_moves(value).target is DEQUANTIZE for value in join.all_input_nodes)
    return reads and all(user.target is not QUANTIZE for user in join.users)


def _behind_moves(node: Node) -> Node:
    moves = (aten.reshape.default, aten.view.default, aten.permute.default, aten.unsqueeze.default)
    while node.target in moves:
        node = node_argument(node.args[0])
    return node


class SplitInRows(SplitConvTranspose):
    """Transposed convolutions as 1x1 ones, whose rows of pixels are moved channels last.

    The moves have four axes: with their six in channels-first order, each becomes three
    transpositions.
    """

    def moves(self, channels: int, height: int, width: int) -> list[Move]:
        """See `SplitConvTranspose.moves`."""
        return [
            (aten.permute.default, [0, 2, 3, 1]),
            (aten.reshape.default, [height // 2, width // 2, 2, 2 * channels]),
            (aten.permute.default, [0, 2, 1, 3]),
            (aten.reshape.default, [1, height, width, channels]),
            (aten.permute.default, [0, 3, 1, 2]),
        ]


class MultiplyMasksByHalves(PassBase):
    """Mask logits as a batch of two products of pixels and weights.

    The converter makes a fully connected layer of a single product, and XNNPACK takes none whose
    weights are computed. Two halves of the pixels, each with the same weights, remain a batched
    product. It packs the second factor, which is small this way round, and reads the first one
    channels last, as it lies in memory.
    """

    def call(self, module: GraphModule) -> PassResult:
        """Applies the pass in place."""
        graph = module.graph
        products = [n for n in graph.nodes if n.target is aten.bmm.default and _is_flat(n)]
        for node in products:
            weights, features = (node_argument(argument) for argument in node.args)
            _, masks, pixels = node.meta["val"].shape
            with graph.inserting_before(node):
                turned = move(module, weights, (), [(aten.permute.default, [0, 2, 1])])
                twice = graph.call_function(aten.cat.default, ([turned, turned], 0))
                product = graph.call_function(aten.bmm.default, (_halves(module, features), twice))
                logits = move(
                    module,
                    product,
                    (),
                    [
                        (aten.reshape.default, [1, pixels, masks]),
                        (aten.permute.default, [0, 2, 1]),
                    ],
                )
            node.replace_all_uses_with(logits)
            graph.erase_node(node)
        return PassResult(module, bool(products))


def _is_flat(product: Node) -> bool:
    batch, rows, columns = product.meta["val"].shape
    return bool(batch == 1 and columns > _FLAT * rows)


def _halves(module: GraphModule, features: Node) -> Node:
    """1xCxP, flattened from 1xCxHxW, as 2x(P/2)xC; moved while it is int8, where it is."""
    source, scale = _unflattened(features)
    _, channels, height, width = source.meta["val"].shape
    moves: list[Move] = [
        (aten.permute.default, [0, 2, 3, 1]),
        (aten.reshape.default, [2, height * width // 2, channels]),
    ]
    if not scale:
        return move(module, source, (), moves)
    moved = move(module, source, scale, moves)
    return module.graph.call_function(DEQUANTIZE, (moved, *scale))


def _unflattened(node: Node) -> tuple[Node, tuple[Argument, ...]]:
    """The map behind a reshape and its quantization, and the arguments of that."""
    scale: tuple[Argument, ...] = ()
    while node.meta["val"].dim() != 4 or node.target is DEQUANTIZE:
        if node.target is DEQUANTIZE:
            scale = node.args[1:]
        node = node_argument(node.args[0])
    return node, scale


class QuantizePixels(PassBase):
    """The interleaved pixels as floats that are quantized, of which the converter makes bytes."""

    def call(self, module: GraphModule) -> PassResult:
        """Applies the pass in place."""
        pixels = next(node for node in module.graph.nodes if node.op == "placeholder")
        with module.graph.inserting_after(pixels):
            quantized = module.graph.call_function(QUANTIZE, (pixels, *EXACT))
        for user in [each for each in pixels.users if each is not quantized]:
            user.replace_input_with(pixels, quantized)
        return PassResult(module, True)


class UnfoldWeights(PassBase):
    """Int8 weights as floats that are quantized: the converter reads them in no other form.

    Quantizing what was dequantized gives the same integers, which is checked for each weight.
    """

    def call(self, module: GraphModule) -> PassResult:
        """Applies the pass in place."""
        weights = [n for n in module.graph.nodes if n.target is DEQUANTIZE_CHANNELS]
        for node in weights:
            source, *scale = node.args
            values = constant(module, source)
            known = [constant(module, each) for each in scale[:2]]
            floats = DEQUANTIZE_CHANNELS(values, *known, *scale[2:])
            assert torch.equal(QUANTIZE_CHANNELS(floats, *known, *scale[2:]), values)
            with module.graph.inserting_before(node):
                kept = add_constant(module, source, floats)
                node.args = (
                    module.graph.call_function(QUANTIZE_CHANNELS, (kept, *scale)),
                    *scale,
                )
        return PassResult(module, bool(weights))

"""Signal-to-quantization-noise ratio of each int8 layer against the float program."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import torch
import torchao.quantization.pt2e.quantize_pt2e  # noqa: F401  registers quantized_decomposed
from torch import Tensor
from torch.export import ExportedProgram
from torch.fx import GraphModule, Interpreter, Node

from sqsam_deploy.quantization.calibration import Samples, spread
from sqsam_deploy.quantization.graph import LAYERS, module_name
from sqsam_deploy.quantization.rewrites.layer_norm import AVERAGING_COLUMN

_aten = torch.ops.aten
_QUANTIZE = torch.ops.quantized_decomposed.quantize_per_tensor.default
_DEQUANTIZE = (
    torch.ops.quantized_decomposed.dequantize_per_tensor.default,
    torch.ops.quantized_decomposed.dequantize_per_channel.default,
)
JOINS = {_aten.cat.default: "cat"}
_FLOAT_REASONS = {
    _aten.bmm.default: ("matmul", "both factors are activations: XNNPACK multiplies them in float"),
    _aten.softmax.int: ("softmax", "a handful of values; XNNPACK has it in float"),
    _aten.rsqrt.default: ("layer norm", "statistics of one token need more than 8 bits"),
}
_CHOSEN = "kept in float by the scheme"

#: Samples that the report compares; ranges are settled by then, and each costs two float passes.
REPORT_SAMPLES = 10


@dataclass(frozen=True)
class LayerReport:
    """One int8 layer.

    Attributes:
        name: Module in the folded network, with the operator where a module has several.
        op: conv2d, conv_transpose2d, linear or cat.
        snr_db: Signal-to-quantization-noise ratio in decibel: power of the float layer's output
            over that of the int8 layer's error, which includes the error of earlier layers.
        minimum: Lowest value of the float layer's output, after its ReLU if it has one.
        maximum: Highest value.
        scale: Step of the output.
        zero_point: Int8 value of zero in the output.
    """

    name: str
    op: str
    snr_db: float
    minimum: float
    maximum: float
    scale: float
    zero_point: int


@dataclass(frozen=True)
class FloatLayer:
    """Something that stayed in float, and why."""

    name: str
    op: str
    reason: str


@dataclass
class _Tally:
    """Running sums over samples."""

    signal: float = 0.0
    noise: float = 0.0
    minimum: float = math.inf
    maximum: float = -math.inf

    def add(self, expected: Tensor, actual: Tensor) -> None:
        self.signal += _power(expected)
        self.noise += _power(expected - actual)
        lowest, highest = torch.aminmax(expected)
        self.minimum = min(self.minimum, float(lowest))
        self.maximum = max(self.maximum, float(highest))

    @property
    def snr_db(self) -> float:
        if self.noise == 0.0:
            return math.inf
        return 10.0 * math.log10(max(self.signal, 1e-30) / self.noise)


def _power(values: Tensor) -> float:
    """Sum of squares, to six digits: two decimals of a ratio in decibel need four."""
    flat = values.flatten()
    return float(torch.dot(flat, flat))


@dataclass(frozen=True)
class _Layer:
    """The same place in both graphs: the value that is quantized and its dequantized form."""

    operator: Node
    output: Node
    quantize: Node
    tally: _Tally = field(default_factory=_Tally)

    def report(self) -> LayerReport:
        scale, zero_point = self.quantize.args[1:3]
        assert isinstance(scale, float) and isinstance(zero_point, int)
        return LayerReport(
            name=module_name(self.operator),
            op=operator_name(self.operator),
            snr_db=round(self.tally.snr_db, 2),
            minimum=self.tally.minimum,
            maximum=self.tally.maximum,
            scale=scale,
            zero_point=zero_point,
        )


def layer_reports(
    reference: GraphModule, quantized: ExportedProgram, samples: Samples
) -> tuple[LayerReport, ...]:
    """Runs both programs side by side and compares every int8 layer's output.

    Args:
        reference: The float network that was quantized; its nodes have the same names.
        quantized: The program with quantize and dequantize operators.
        samples: Inputs; a spread of `REPORT_SAMPLES` of them is used.
    """
    layers = {layer.output.name: layer for layer in _int8_layers(quantized)}
    actual = quantized.module()
    assert isinstance(actual, GraphModule)
    for sample in spread(samples, REPORT_SAMPLES):
        expected = _Recorder(reference, set(layers)).record(sample)
        # The restored value carries the rounding of the layer's own output.
        _Comparer(actual, layers, expected).run(*sample)
    reports = [layer.report() for layer in layers.values()]
    return tuple(sorted(reports, key=lambda report: report.snr_db))


class _Recorder(Interpreter):
    """Runs a graph and keeps the values of some nodes."""

    def __init__(self, module: GraphModule, names: set[str]) -> None:
        super().__init__(module)
        self._names = names
        self.values: dict[str, Tensor] = {}

    @torch.inference_mode()
    def record(self, sample: tuple[Tensor, ...]) -> dict[str, Tensor]:
        self.run(*sample)
        return self.values

    def run_node(self, n: Node) -> Any:
        value = super().run_node(n)
        if n.name in self._names:
            self.values[n.name] = value
        return value


class _Comparer(Interpreter):
    """Runs the quantized graph and adds each layer's error to its tally."""

    def __init__(
        self, module: GraphModule, layers: dict[str, _Layer], expected: dict[str, Tensor]
    ) -> None:
        super().__init__(module)
        self._layers = {layer.quantize.name: layer for layer in layers.values()}
        self._expected = expected

    def run_node(self, n: Node) -> Any:
        with torch.inference_mode():
            value = super().run_node(n)
            layer = self._layers.get(n.name)
            if layer is not None:
                scale, zero_point = n.args[1:3]
                restored = (value.float() - zero_point) * scale
                layer.tally.add(self._expected[layer.output.name], restored)
        return value


def _int8_layers(quantized: ExportedProgram) -> Iterator[_Layer]:
    for node in quantized.graph.nodes:
        if node.target not in LAYERS and node.target not in JOINS:
            continue
        if not is_int8(node):
            continue
        output = _activated(node)
        for user in output.users:
            if user.target is _QUANTIZE:
                yield _Layer(node, output, user)
                break


def is_int8(node: Node) -> bool:
    """Whether a join's parts, or a layer's weights, are int8."""
    return all(source.target in _DEQUANTIZE for source in _operands(node))


def operator_name(node: Node) -> str:
    """The name that people know a join or a layer's operator under."""
    names: dict[Any, str] = {**LAYERS, **JOINS}
    return names[node.target]


def _operands(node: Node) -> list[Node]:
    """A join's parts; a layer's weight."""
    if node.target in JOINS:
        return list(node.all_input_nodes)
    weight = node.args[1]
    assert isinstance(weight, Node)
    return [weight]


def _activated(node: Node) -> Node:
    """The ReLU that follows a layer and is part of it, or the layer."""
    users = list(node.users)
    if len(users) == 1 and users[0].target is _aten.relu.default:
        return users[0]
    return node


def float_layers(quantized: ExportedProgram) -> tuple[FloatLayer, ...]:
    """Operators that stayed in float, with the reason."""
    found = []
    for node in quantized.graph.nodes:
        if node.target in LAYERS and _operands(node)[0].target not in _DEQUANTIZE:
            found.append(FloatLayer(module_name(node), LAYERS[node.target], _CHOSEN))
        elif node.target in _FLOAT_REASONS and not _averages(node):
            op, reason = _FLOAT_REASONS[node.target]
            found.append(FloatLayer(module_name(node), op, reason))
    return tuple(found)


def _averages(node: Node) -> bool:
    """Whether a product is a rewritten LayerNorm's mean, which is named by its `rsqrt`."""
    factor = node.args[-1]
    return (
        node.target is _aten.bmm.default
        and isinstance(factor, Node)
        and AVERAGING_COLUMN in factor.name
    )

"""The int8 program with any of its modules in float, computed without being made.

To make such a program takes calibration and conversion. Its arithmetic is known before: an
operator that stays in float has float weights, and a value is rounded on its way to a reader where
the operator that gives it or the one that reads it is int8, with the range of all values that share
one. What shares a range follows from the marks of `Int8Quantizer` as torchao reads them.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Interpreter, Node
from torch.fx.node import map_arg
from torchao.quantization.pt2e.quantizer import QuantizationAnnotation, SharedQuantizationSpec
from torchao.quantization.pt2e.quantizer.quantizer import Q_ANNOTATION_KEY

from sqsam_deploy.quantization.calibration import Sample, Samples
from sqsam_deploy.quantization.graph import LAYERS, constant_value, module_name
from sqsam_deploy.quantization.layers import JOINS, is_int8, operator_name
from sqsam_deploy.quantization.observers import (
    PIXEL_INPUTS,
    PIXEL_SCALE,
    PIXEL_ZERO_POINT,
    RangeObserver,
    activation_observer,
)
from sqsam_deploy.quantization.pt2e import QuantizedModel

#: Scale and zero point.
Step = tuple[float, int]
#: Values of some nodes, kept from one run for others.
Values = Mapping[Node, Any]


@dataclass(frozen=True)
class Module:
    """A module of the network with an int8 layer.

    Attributes:
        name: Dotted, in the folded network.
        op: Of its first layer: conv2d, conv_transpose2d, linear or cat.
        work: Multiply-accumulates of one inference; of a `cat`, the values that it moves.
    """

    name: str
    op: str
    work: int


@dataclass(frozen=True)
class Arrangement:
    """Which operators are int8, and where values are rounded.

    Attributes:
        int8: Operators with int8 weights.
        steps: By reader, and value that it reads rounded.
    """

    int8: frozenset[Node]
    steps: Mapping[Node, Mapping[Node, Step]]

    def of(self, node: Node) -> tuple[bool, Mapping[Node, Step]]:
        """All that an operator's result depends on beside the values it reads."""
        return node in self.int8, self.steps.get(node, {})


class Simulation:
    """Runs the program with any choice of modules in float.

    Args:
        quantized: The int8 program, the float program it was made of, and the scheme.
        samples: Those that it was calibrated on.
    """

    def __init__(self, quantized: QuantizedModel, samples: Samples) -> None:
        # It imports ExecuTorch, see `quantize_program`.
        from sqsam_deploy.quantization.quantizer import Int8Quantizer

        module = quantized.source.module()
        assert isinstance(module, GraphModule)
        self._graph = module
        self._ranges = quantized.scheme.ranges
        Int8Quantizer(quantized.scheme).annotate(module)
        self._marks: dict[Node, QuantizationAnnotation] = {
            node: node.meta[Q_ANNOTATION_KEY]
            for node in module.graph.nodes
            if node.op == "call_function" and Q_ANNOTATION_KEY in node.meta
        }
        self._weights = _restored_weights(module, quantized)
        self._seen = self._observed(samples)
        self._steps: dict[frozenset[Node], Step] = {}
        self.modules = self._modules()

    def _modules(self) -> tuple[Module, ...]:
        """In the order in which they run; the joined inputs, whose pixels are exact, are none."""
        found: dict[str, Module] = {}
        for node in self._graph.graph.nodes:
            marked = node in self._marks and bool(self._marks[node].input_qspec_map)
            if marked and (node.target in LAYERS or node.target in JOINS) and module_name(node):
                name, work = module_name(node), _work(node)
                op = operator_name(node)
                known = found.get(name, Module(name, op, 0))
                found[name] = Module(name, known.op, known.work + work)
        return tuple(found.values())

    def arrange(self, stays_float: Callable[[str], bool]) -> Arrangement:
        """The program in which modules of some names stay in float."""
        reads, gives = self._places(stays_float)
        groups = self._groups(reads, gives)
        steps: dict[Node, dict[Node, Step]] = {}
        for value, group in groups.items():
            for reader in value.users:
                if value in gives or value in reads.get(reader, ()):
                    steps.setdefault(reader, {})[value] = self._step(group)
        return Arrangement(frozenset(self._weights.keys() & reads.keys()), steps)

    def _places(
        self, stays_float: Callable[[str], bool]
    ) -> tuple[dict[Node, list[Node]], set[Node]]:
        """The inputs of each int8 operator, and operators whose results are int8."""
        reads: dict[Node, list[Node]] = {}
        gives: set[Node] = set()
        for node, mark in self._marks.items():
            if self._is_float(node, mark, stays_float, gives):
                continue
            read = [value for value in mark.input_qspec_map if value.op != "get_attr"]
            if read:
                reads[node] = read
            if mark.output_qspec is not None:
                gives.add(node)
        return reads, gives

    def _is_float(
        self,
        node: Node,
        mark: QuantizationAnnotation,
        stays_float: Callable[[str], bool],
        gives: set[Node],
    ) -> bool:
        if stays_float(module_name(node)):
            return True
        shared = mark.output_qspec
        if isinstance(shared, SharedQuantizationSpec) and isinstance(shared.edge_or_node, Node):
            # It moves values and is as int8 as what gives them.
            return shared.edge_or_node not in gives
        # A fused ReLU is marked with its result alone.
        fused = not mark.input_qspec_map and mark.output_qspec is not None
        return fused and stays_float(module_name(node.all_input_nodes[0]))

    def _groups(
        self, reads: Mapping[Node, list[Node]], gives: set[Node]
    ) -> dict[Node, frozenset[Node]]:
        """All values that are rounded somewhere, each with those that share its range."""
        groups: dict[Node, set[Node]] = {
            value: {value} for value in (*gives, *(v for read in reads.values() for v in read))
        }
        for node in reads.keys() | gives:
            mark = self._marks[node]
            shared = [(value, mark.input_qspec_map[value]) for value in reads.get(node, ())]
            if node in gives:
                shared.append((node, mark.output_qspec))
            for value, spec in shared:
                if isinstance(spec, SharedQuantizationSpec):
                    place = spec.edge_or_node
                    other = place if isinstance(place, Node) else place[0]
                    union = groups[value] | groups[other]
                    groups.update(dict.fromkeys(union, union))
        return {value: frozenset(group) for value, group in groups.items()}

    def _step(self, group: frozenset[Node]) -> Step:
        if group not in self._steps:
            self._steps[group] = self._chosen(group)
        return self._steps[group]

    def _chosen(self, group: frozenset[Node]) -> Step:
        if any(value.name in PIXEL_INPUTS for value in group):
            return PIXEL_SCALE, PIXEL_ZERO_POINT
        together = activation_observer(self._ranges)
        for value in group:
            together.take_over(self._seen[value])
        scale, zero_point = together.calculate_qparams()
        return float(scale), int(zero_point)

    def _observed(self, samples: Samples) -> dict[Node, RangeObserver]:
        """An observer that saw the values of all samples, for each value by itself."""
        reads, gives = self._places(lambda name: False)
        values = {*gives, *(value for read in reads.values() for value in read)}
        seen = {value: activation_observer(self._ranges) for value in values}
        for sample in samples:
            _Watch(self._graph, seen).watch(sample)
        return seen

    def changed(self, before: Arrangement, after: Arrangement) -> frozenset[Node]:
        """Nodes whose values may differ between two arrangements."""
        found: set[Node] = set()
        for node in self._graph.graph.nodes:
            inherits = any(value in found for value in node.all_input_nodes)
            if inherits or before.of(node) != after.of(node):
                found.add(node)
        return frozenset(found)

    def record(
        self, arrangement: Arrangement, sample: Sample, changes: Iterable[frozenset[Node]]
    ) -> tuple[tuple[Tensor, ...], Values]:
        """Runs a sample, and keeps what other runs of it need that change some of the nodes."""
        wanted = {
            value
            for changed in changes
            for node in changed
            for value in node.all_input_nodes
            if value not in changed
        }
        run = _Run(self._graph, arrangement, self._weights, wanted)
        return run.outputs(sample, {}), run.kept

    def run(
        self,
        arrangement: Arrangement,
        sample: Sample,
        values: Values | None = None,
        changed: frozenset[Node] = frozenset(),
    ) -> tuple[Tensor, ...]:
        """The outputs for one sample.

        Args:
            arrangement: What is int8.
            sample: Inputs of the folded network.
            values: Of a run of this sample, from `record`; without them everything is computed.
            changed: Nodes that differ from that run; at least one does.
        """
        known: dict[Node, Any] = {}
        if values is not None:
            nodes = self._graph.graph.nodes
            known = {node: values.get(node) for node in nodes if node not in changed}
        return _Run(self._graph, arrangement, self._weights, set()).outputs(sample, known)


class _Watch(Interpreter):
    """Runs the float graph and shows some of its values to their observers."""

    def __init__(self, graph: GraphModule, seen: Mapping[Node, RangeObserver]) -> None:
        super().__init__(graph)
        self._seen = seen

    @torch.inference_mode()
    def watch(self, sample: Sample) -> None:
        self.run(*_channels_last(sample))

    def run_node(self, n: Node) -> Any:
        value = super().run_node(n)
        if n in self._seen:
            self._seen[n](value)
        return value


class _Run(Interpreter):
    """Runs the float graph with the weights and the rounding of an arrangement."""

    def __init__(
        self,
        graph: GraphModule,
        arrangement: Arrangement,
        weights: "Mapping[Node, Mapping[Node, Tensor]]",
        wanted: set[Node],
    ) -> None:
        super().__init__(graph)
        self._arrangement, self._weights, self._wanted = arrangement, weights, wanted
        self.kept: dict[Node, Any] = {}

    @torch.inference_mode()
    def outputs(self, sample: Sample, known: dict[Node, Any]) -> tuple[Tensor, ...]:
        return tuple(self.run(*_channels_last(sample), initial_env=known))

    def run_node(self, n: Node) -> Any:
        value = super().run_node(n)
        if n in self._wanted:
            self.kept[n] = value
        return value

    def fetch_args_kwargs_from_env(self, n: Node) -> tuple[Any, Any]:
        steps = self._arrangement.steps.get(n, {})
        weights = self._weights[n] if n in self._arrangement.int8 else {}

        def fetched(value: Node) -> Any:
            if value in weights:
                return weights[value]
            step = steps.get(value)
            return self.env[value] if step is None else rounded(self.env[value], *step)

        return map_arg(n.args, fetched), map_arg(n.kwargs, fetched)


def _channels_last(sample: Sample) -> list[Tensor]:
    """Maps in the memory format in which they need not be rearranged for each convolution."""
    return [x.contiguous(memory_format=torch.channels_last) if x.dim() == 4 else x for x in sample]


def rounded(value: Tensor, scale: float, zero_point: int) -> Tensor:
    """A float32 tensor after int8 and back, to the last bit as two operators would do it."""
    # `torch.fake_quantize_per_tensor_affine` gives the same and takes four times as long.
    steps = (value * (1 / scale)).round_().clamp_(-128 - zero_point, 127 - zero_point)
    return steps.mul_(scale)


def _restored_weights(
    module: GraphModule, quantized: QuantizedModel
) -> dict[Node, dict[Node, Tensor]]:
    """By operator with int8 weights: what stands in the int8 program for each of its constants."""
    converted = quantized.program.module()
    assert isinstance(converted, GraphModule)
    pairs = zip(_weighted(module), _weighted(converted), strict=True)
    return {
        node: {
            constant: constant_value(converted, other)
            for constant, other in zip(node.args[1:3], twin.args[1:3], strict=True)
            if isinstance(constant, Node) and isinstance(other, Node)
        }
        for node, twin in pairs
        if is_int8(twin)
    }


def _weighted(module: GraphModule) -> list[Node]:
    return [node for node in module.graph.nodes if node.target in LAYERS]


def _work(node: Node) -> int:
    result: Tensor = node.meta["val"]
    if node.target in JOINS:
        return result.numel()
    op = operator_name(node)
    source: Tensor = node.all_input_nodes[0].meta["val"]
    weight: Tensor = node.all_input_nodes[1].meta["val"]
    if op == "conv_transpose2d":
        # Each input pixel is multiplied with the whole kernel; of the others, each output pixel.
        return math.prod(source.shape[2:]) * weight.numel()
    rows = result.shape[2:] if op == "conv2d" else result.shape[:-1]
    return math.prod(rows) * weight.numel()

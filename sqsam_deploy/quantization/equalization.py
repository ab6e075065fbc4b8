"""Cross-layer equalization: channels that share a scale are brought to similar ranges.

All channels of a map have one int8 scale, which the widest of them sets; a channel a tenth as wide
is left a tenth of the steps. A positive factor passes ReLU, max-pooling and concatenation: a
channel can be multiplied where its map is made and divided wherever the map is read, and the float
network stays the same function.

Source: arXiv 1906.04721, section 4.1. There the factors balance the ranges of two weights; here
weights have a scale for every output channel, and the factors balance two errors: that of the
rounded map, and that of the rounded weights which read it.
"""

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Interpreter, Node

from sqsam_deploy.quantization.graph import (
    LAYERS,
    channel_axis,
    constant,
    layer_bias,
    replace_constant,
)

_aten = torch.ops.aten
_PASSED = (_aten.relu.default, _aten.max_pool2d.default)
_TRANSPOSED = _aten.conv_transpose2d.input

#: Largest factor, and one over the smallest: what is almost silent is not made loud.
_LARGEST_FACTOR = 64.0
#: Factors are powers of two with exponents of this step: sums in another order give the same ones.
_EXPONENT_STEP = 0.25
#: Steps towards the factors with the least error.
_ROUNDS = 20


@dataclass(frozen=True)
class _Map:
    """A map whose channels can take factors.

    Attributes:
        layer: What makes it.
        value: The map itself, behind the layer's ReLU if it has one.
        readers: Layers that read it, each with the map's first channel in the layer's input.
    """

    layer: Node
    value: Node
    readers: tuple[tuple[Node, int], ...]

    @property
    def channels(self) -> int:
        return int(self.value.meta["val"].shape[channel_axis(self.value)])


@dataclass(frozen=True)
class _Reader:
    """The weights with which a layer reads a group of maps.

    Attributes:
        channels: C, indices into the group's channels.
        power: C, squared weights summed over outputs, in units of the outputs' power.
        peaks: OxC, largest magnitude of a weight.
        taps: Weights that one output sums for each input channel, in the same units.
    """

    channels: Tensor
    power: Tensor
    peaks: Tensor
    taps: float

    def weight_error(self, factors: Tensor) -> float:
        """Squared steps of the weights summed over outputs, where inputs have these factors."""
        steps = (self.peaks / factors[self.channels]).amax(1) / 127
        return self.taps * float(steps.square().sum())


def equalize(network: GraphModule, samples: Iterable[tuple[Tensor, ...]]) -> None:
    """Multiplies and divides the channels of a float network, in place; outputs stay the same.

    Args:
        network: What `ExportedProgram.module()` of a traced network returns.
        samples: Its positional inputs, to measure ranges on.
    """
    groups = _groups(_find_maps(network))
    nodes = {node for each in itertools.chain(*groups) for node, _ in each.readers}
    nodes |= {each.value for each in itertools.chain(*groups)}
    statistics = _Statistics(network, nodes)
    statistics.measure(samples)
    # All are chosen before the first is applied: it changes the weights of others.
    chosen = [_factors(network, group, statistics) for group in groups]
    for group, factors in zip(groups, chosen, strict=True):
        for each, own in zip(group, _split(factors, group), strict=True):
            _apply(network, each, own)


def _find_maps(network: GraphModule) -> Iterator[_Map]:
    for node in network.graph.nodes:
        if node.target not in LAYERS:
            continue
        users = list(node.users)
        activated = len(users) == 1 and users[0].target is _aten.relu.default
        value = users[0] if activated else node
        readers = tuple(_readers(value, 0))
        if readers and all(reader.target in LAYERS for reader, _ in readers):
            yield _Map(node, value, readers)


def _readers(value: Node, first: int) -> Iterator[tuple[Node, int]]:
    """Readers of a value, behind everything that lets factors pass."""
    for user in value.users:
        if user.target in _PASSED:
            yield from _readers(user, first)
        elif user.target is _aten.cat.default and value.meta["val"].dim() == 4:
            parts = user.args[0]
            assert isinstance(parts, list | tuple)
            before = parts[: parts.index(value)]
            yield from _readers(user, first + sum(_channels(part) for part in before))
        else:
            yield user, first


def _channels(value: Any) -> int:
    return int(value.meta["val"].shape[1])


def _groups(maps: Iterable[_Map]) -> list[list[_Map]]:
    """Maps that a layer reads together: a concatenation has one scale."""
    groups: list[list[_Map]] = []
    for each in maps:
        readers = {reader for reader, _ in each.readers}
        joined = [g for g in groups if any(r in readers for m in g for r, _ in m.readers)]
        groups = [g for g in groups if g not in joined]
        groups.append([*itertools.chain(*joined), each])
    return groups


def _split(channels: Tensor, group: list[_Map]) -> tuple[Tensor, ...]:
    """The channels of each map of a group."""
    parts: tuple[Tensor, ...] = torch.split(channels, [each.channels for each in group])
    return parts


class _Statistics(Interpreter):
    """Extremes and mean squares of the channels of some nodes, over samples."""

    def __init__(self, network: GraphModule, nodes: set[Node]) -> None:
        super().__init__(network)
        self._nodes = nodes
        self._sums: dict[Node, Tensor] = {}
        self._samples = 0
        self.lowest: dict[Node, Tensor] = {}
        self.highest: dict[Node, Tensor] = {}

    @torch.inference_mode()
    def measure(self, samples: Iterable[tuple[Tensor, ...]]) -> None:
        for sample in samples:
            self.run(*sample)
            self._samples += 1

    def run_node(self, n: Node) -> Any:
        value = super().run_node(n)
        if n in self._nodes:
            channels = value.transpose(0, channel_axis(n)).flatten(1)
            lowest, highest = channels.aminmax(dim=1)
            zero = torch.zeros_like(lowest)
            self.lowest[n] = torch.minimum(self.lowest.get(n, zero), lowest)
            self.highest[n] = torch.maximum(self.highest.get(n, zero), highest)
            self._sums[n] = self._sums.get(n, zero) + channels.double().square().mean(1)
        return value

    def mean_squares(self, node: Node) -> Tensor:
        return self._sums[node] / self._samples


def _factors(network: GraphModule, group: list[_Map], statistics: _Statistics) -> Tensor:
    """Factors of a group's channels, C float64, with the least error at its readers.

    A channel with factor f and mean square p, in a map whose step is d, adds two errors to what
    its readers give: w (d / f)^2 / 12 from the map's rounding, where w are the readers' squared
    weights, and e p f^2 / 12 from that of their weights, whose squared steps are e. The sum is
    least where both are equal; no channel may become wider than the widest.
    """
    values = [each.value for each in group]
    lowest = torch.cat([statistics.lowest[value] for value in values]).double()
    highest = torch.cat([statistics.highest[value] for value in values]).double()
    squares = torch.cat([statistics.mean_squares(value) for value in values])
    width = torch.maximum(highest, -lowest)
    heard = width > 0
    limit = torch.where(heard, width.max() / width, 1.0).clamp(max=_LARGEST_FACTOR)
    readers = list(_group_readers(network, group, statistics))
    factors = torch.ones_like(width)
    for _ in range(_ROUNDS):
        step = ((factors * highest).max() - (factors * lowest).min()) / 255
        power, errors = torch.zeros_like(width), torch.zeros_like(width)
        for reader in readers:
            power[reader.channels] += reader.power
            errors[reader.channels] += reader.weight_error(factors)
        balanced = (step.square() * power / (errors * squares)).pow(0.25)
        best = torch.minimum(balanced, limit).clamp(min=1 / _LARGEST_FACTOR)
        # Half of the way, as the steps depend on the factors in turn.
        factors = torch.where(heard, (factors * best).sqrt(), factors)
    return torch.exp2(torch.round(factors.log2() / _EXPONENT_STEP) * _EXPONENT_STEP)


def _group_readers(
    network: GraphModule, group: list[_Map], statistics: _Statistics
) -> Iterator[_Reader]:
    indices = torch.arange(sum(each.channels for each in group))
    parts: dict[Node, list[tuple[int, Tensor]]] = {}
    for each, own in zip(group, _split(indices, group), strict=True):
        for node, first in each.readers:
            parts.setdefault(node, []).append((first, own))
    for node, read in parts.items():
        weight = constant(network, node.args[1]).double()
        by_output = weight.transpose(0, 1) if node.target is _TRANSPOSED else weight
        kernels = by_output.reshape(*by_output.shape[:2], -1)
        kernels = torch.cat([kernels[:, first : first + len(own)] for first, own in read], dim=1)
        size = kernels.shape[2]
        output = float(statistics.mean_squares(node).sum())
        # Of a transposed kernel, whose stride is its side, one weight reaches an output.
        taps = 1 if node.target is _TRANSPOSED else size
        yield _Reader(
            channels=torch.cat([own for _, own in read]),
            power=kernels.square().sum((0, 2)) * (taps / size / output),
            peaks=kernels.abs().amax(2),
            taps=taps / output,
        )


def _apply(network: GraphModule, each: _Map, factors: Tensor) -> None:
    """Multiplies a map's channels where it is made, and divides them where it is read."""
    outputs = slice(0, each.channels)
    _multiply(network, each.layer, 1 if each.layer.target is _TRANSPOSED else 0, outputs, factors)
    bias = layer_bias(each.layer)
    if bias is not None:
        replace_constant(network, bias, (constant(network, bias).double() * factors).float())
    for node, first in each.readers:
        inputs = slice(first, first + each.channels)
        _multiply(network, node, 0 if node.target is _TRANSPOSED else 1, inputs, 1 / factors)


def _multiply(
    network: GraphModule, layer: Node, axis: int, channels: slice, factors: Tensor
) -> None:
    """Multiplies some channels of an axis of a layer's weight."""
    node = layer.args[1]
    assert isinstance(node, Node)
    weight = constant(network, node).double().transpose(0, axis).clone()
    weight[channels] *= factors.reshape(-1, *[1] * (weight.dim() - 1))
    replace_constant(network, node, weight.transpose(0, axis).float().contiguous())

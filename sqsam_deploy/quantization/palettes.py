"""Palettized weights: some output channels share a few values, and each weight is an index.

The values are k-means' (Lloyd, "Least squares quantization in PCM", 1982), weighted by the power of
what a weight is multiplied with. The indices are chosen one input at a time, each making up for the
error of those before it (Frantar et al., "GPTQ", arXiv 2210.17323): neighboring pixels are alike,
so that their weights can correct each other. What is left of the mean goes into the bias.
"""

import copy
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sqsam_deploy.folding.padded_taps import drop_padded_taps
from sqsam_deploy.quantization.calibration import Samples

#: Layers with fewer weights stay in half precision: there is nothing to save.
SMALLEST_LAYER = 8192
#: Layers that look at maps of so many pixels have indices of `FINE_BITS` at least: they draw the
#: edges of the masks, and have a fifth of `paper`'s weights.
LARGE_MAP, FINE_BITS = 32 * 32, 6
#: Output channels that share a palette, at least: many palettes slow a device down
#: (docs/coreml.md).
_CHANNELS = 8
#: Weights for each value of a palette, at least: a palette then costs little beside its indices.
_WEIGHTS_PER_VALUE = 64
#: Positions of a map that are looked at in one sample.
_POSITIONS = 128
#: Share of the inputs' mean power that is added to each, so that the factorization exists.
_DAMPING = 0.01
_ROUNDS = 40
_BLOCK = 128

_Layer = nn.Conv2d | nn.ConvTranspose2d | nn.Linear


@dataclass(frozen=True)
class PaletteScheme:
    """How a network is palettized.

    Attributes:
        bits: Of an index; layers that look at large maps have at least `FINE_BITS`.
        keep_float: Patterns of module names (`mask_head.*`) that stay in half precision.
    """

    bits: int
    keep_float: tuple[str, ...] = ()

    def palettizes(self, name: str, layer: nn.Module) -> bool:
        """Whether a module gets palettes."""
        return (
            isinstance(layer, _Layer)
            and layer.weight.numel() >= SMALLEST_LAYER
            and not any(fnmatchcase(name, pattern) for pattern in self.keep_float)
        )

    def bits_of(self, pixels: int) -> int:
        """Bits of an index in a layer that looks at maps of so many pixels."""
        return self.bits if pixels < LARGE_MAP else max(self.bits, FINE_BITS)


def channels_per_palette(channels: int, weights: int, bits: int) -> int:
    """How many neighboring output channels share a palette: a divisor of their number.

    Args:
        channels: Output channels of a layer.
        weights: Weights of the whole layer.
        bits: Of an index.
    """
    needed = max(_CHANNELS, _WEIGHTS_PER_VALUE * 2**bits * channels / weights)
    return next(
        n for n in range(1, channels + 1) if channels % n == 0 and n >= min(needed, channels)
    )


def palettize(network: nn.Module, samples: Samples, scheme: PaletteScheme) -> nn.Module:
    """A copy of a network whose weights are palettes' values, all of them float16 numbers.

    It is computed in one thread, so that the sums, and with them the weights, do not depend on how
    many there are.

    Args:
        network: Without norms, in eval mode; takes the inputs that the samples hold.
        samples: Real inputs.
        scheme: Which layers, and how many bits.
    """
    palettized = copy.deepcopy(network)
    drop_padded_taps(palettized, next(iter(samples)))
    layers = [m for name, m in palettized.named_modules() if scheme.palettizes(name, m)]
    with _one_thread(), torch.inference_mode():
        for layer, statistics in _observe(palettized, layers, samples).items():
            _palettize_layer(layer, scheme.bits_of(statistics.pixels), statistics)
    return palettized


@contextmanager
def _one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


class _Statistics:
    """First and second moments of what a layer's weights are multiplied with.

    Attributes:
        pixels: Of the map that it looks at.
    """

    def __init__(self, inputs: int) -> None:
        self.pixels = 0
        self._count = 0
        self._sum = torch.zeros(inputs)
        self._products = torch.zeros(inputs, inputs)

    def add(self, rows: Tensor) -> None:
        """Takes PxK inputs in."""
        self._count += len(rows)
        self._sum += rows.sum(0)
        self._products.addmm_(rows.T, rows)

    @property
    def mean(self) -> Tensor:
        """K."""
        return self._sum / self._count

    @property
    def second(self) -> Tensor:
        """KxK, about zero."""
        return self._products / self._count


def _observe(
    network: nn.Module, layers: Iterable[nn.Module], samples: Samples
) -> dict[_Layer, _Statistics]:
    statistics = {
        layer: _Statistics(_matrix(layer).shape[1]) for layer in layers if isinstance(layer, _Layer)
    }

    def observe(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        assert isinstance(layer, _Layer)
        statistics[layer].pixels = given[0].shape[2:].numel() if given[0].dim() == 4 else 1
        statistics[layer].add(_inputs(layer, given[0]))

    with ExitStack() as hooks:
        for layer in statistics:
            hooks.callback(layer.register_forward_pre_hook(observe).remove)
        for sample in samples:
            network(*sample)
    return statistics


def _inputs(layer: _Layer, x: Tensor) -> Tensor:
    """Inputs of single outputs, PxK, at evenly spaced positions of one sample's map."""
    if isinstance(layer, nn.Linear):
        return x.flatten(0, -2)
    if isinstance(layer, nn.ConvTranspose2d):
        rows = x[0].flatten(1).T
        return rows[:: _stride(len(rows))]
    pad = layer.padding
    assert isinstance(pad, tuple)
    padded = F.pad(x, (pad[1], pad[1], pad[0], pad[0]))
    windows = padded.unfold(2, layer.kernel_size[0], layer.stride[0])
    windows = windows.unfold(3, layer.kernel_size[1], layer.stride[1])[0]
    _, height, width, _, _ = windows.shape
    at = torch.arange(0, height * width, _stride(height * width))
    return windows[:, at // width, at % width].transpose(0, 1).flatten(1)


def _stride(positions: int) -> int:
    # An odd stride does not fall in step with the columns of a map.
    return max(positions // _POSITIONS, 1) | 1


def _matrix(layer: _Layer) -> Tensor:
    """Weights, RxK: a row for each output channel, or for each of its 2x2 pixels."""
    if isinstance(layer, nn.ConvTranspose2d):
        return layer.weight.permute(1, 2, 3, 0).flatten(0, 2)
    return layer.weight.flatten(1)


def _store(layer: _Layer, matrix: Tensor) -> None:
    if isinstance(layer, nn.ConvTranspose2d):
        inputs, outputs, *kernel = layer.weight.shape
        matrix = matrix.reshape(outputs, *kernel, inputs).permute(3, 0, 1, 2)
    layer.weight.copy_(matrix.reshape(layer.weight.shape))


def _palettize_layer(layer: _Layer, bits: int, statistics: _Statistics) -> None:
    weights, mean, products = _matrix(layer).clone(), statistics.mean, statistics.second
    if layer.bias is not None:
        products = products - torch.outer(mean, mean)
    products.diagonal().add_(_DAMPING * products.diagonal().mean())
    lower, failed = torch.linalg.cholesky_ex(products.double())
    if failed:
        # Inputs that do not vary: what is left of them is the rounding of their mean.
        products = torch.eye(len(products))
        lower = products.double()
    power = products.diagonal()
    channels = layer.weight.shape[1 if isinstance(layer, nn.ConvTranspose2d) else 0]
    palettes = channels // channels_per_palette(channels, weights.numel(), bits)
    rows = len(weights) // palettes
    values = k_means(
        weights.reshape(palettes, -1), power.repeat(rows).expand(palettes, -1), 2**bits
    )
    rounded = _round(weights, values.repeat_interleave(rows, 0), _inverse_factor(lower))
    if layer.bias is not None:
        error = (weights - rounded) @ mean
        layer.bias += error.reshape(channels, -1).mean(1)
    _store(layer, rounded)


def k_means(values: Tensor, weights: Tensor, count: int) -> Tensor:
    """Centers of clusters of numbers, each row by itself, as sorted float16 numbers.

    Args:
        values: GxN.
        weights: GxN, positive: how much the distance of each counts.
        count: Clusters, k.

    Returns:
        Gxk float32.
    """
    ordered, order = values.double().sort(dim=1)
    mass = weights.double().gather(1, order)
    total = F.pad(mass.cumsum(1), (1, 0))
    moment = F.pad((mass * ordered).cumsum(1), (1, 0))
    centers = _spread(ordered, count)
    for _ in range(_ROUNDS):
        ends = F.pad(torch.searchsorted(ordered, _borders(centers)), (1, 0))
        ends = F.pad(ends, (0, 1), value=ordered.shape[1])
        inside = total.gather(1, ends).diff(dim=1)
        means = moment.gather(1, ends).diff(dim=1) / inside.clamp(min=1e-300)
        centers = torch.where(inside > 0, means, centers).sort(dim=1).values
    return centers.half().float()


def _spread(ordered: Tensor, count: int) -> Tensor:
    """First centers: as dense as the cube root of the numbers (Panter and Dite, 1951)."""
    way = F.pad(ordered.diff(dim=1).clamp(min=1e-12).pow(2 / 3).cumsum(1), (1, 0))
    steps = (torch.arange(count, dtype=torch.float64) + 0.5) / count
    at = torch.searchsorted(way, steps * way[:, -1:])
    return ordered.gather(1, at.clamp(max=ordered.shape[1] - 1))


def _borders(centers: Tensor) -> Tensor:
    return (centers[:, 1:] + centers[:, :-1]) / 2


def _round(weights: Tensor, values: Tensor, factor: Tensor) -> Tensor:
    """Weights RxK as values of their row's palette, Rxk, with the factor of the inputs, KxK."""
    borders, left = _borders(values).contiguous(), weights.clone()
    rounded = torch.empty_like(weights)
    for start in range(0, weights.shape[1], _BLOCK):
        block = left[:, start : start + _BLOCK]
        corner = factor[start : start + _BLOCK, start : start + _BLOCK]
        errors = torch.empty_like(block)
        for i in range(block.shape[1]):
            nearest = torch.searchsorted(borders, block[:, i : i + 1].contiguous())
            chosen = values.gather(1, nearest)
            rounded[:, start + i : start + i + 1] = chosen
            errors[:, i : i + 1] = (block[:, i : i + 1] - chosen) / corner[i, i]
            block[:, i + 1 :] -= errors[:, i : i + 1] * corner[i, i + 1 :]
        left[:, start + _BLOCK :] -= errors @ factor[start : start + _BLOCK, start + _BLOCK :]
    return rounded


def _inverse_factor(lower: Tensor) -> Tensor:
    """The upper Cholesky factor of the inverse, from the lower one."""
    upper: Tensor = torch.linalg.cholesky(torch.cholesky_inverse(lower), upper=True)
    return upper.float()

"""Each pass, on the quantized network: the same numbers from the changed graph."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.export import export
from torch.fx import GraphModule

from sqsam_deploy.quantization import (
    QuantizedModel,
    quantize_program,
    trace_network,
)
from sqsam_deploy.runtimes.executorch.passes import (
    OrderShuffledChannels,
    PutFeaturesFirst,
    SplitConvTranspose,
    optimize,
)
from tests.tiny_network import tiny_calibration, tiny_folded, tiny_partly_float, tiny_quantized


def _targets(module: GraphModule) -> list[str]:
    return [str(node.target) for node in module.graph.nodes if node.op == "call_function"]


def _module(program: torch.export.ExportedProgram) -> GraphModule:
    module = program.module(check_guards=False)
    assert isinstance(module, GraphModule)
    return module


@pytest.mark.parametrize("quantized", [True, False])
def test_transposed_convolutions_become_pointwise(quantized: bool) -> None:
    sample = next(iter(tiny_calibration()))
    program = (
        tiny_quantized().program if quantized else trace_network(tiny_folded().network, sample)
    )
    expected, module = program.module()(*sample), _module(program)
    assert SplitConvTranspose()(module).modified
    module.recompile()
    assert not any("conv_transpose2d" in target for target in _targets(module))
    # Sums of the same products in another order: a value on a rounding boundary may move a step.
    for a, b in zip(module(*sample), expected, strict=True):
        assert (a - b).abs().max() <= 1e-3 * b.abs().max()


def test_flat_product_is_turned_round() -> None:
    class Masks(nn.Module):
        def forward(self, weights: Tensor, features: Tensor) -> Tensor:
            return torch.bmm(weights, features)

    sample = (torch.randn(1, 3, 8), torch.randn(1, 8, 1024))
    module = _module(export(Masks(), sample))
    assert PutFeaturesFirst()(module).modified
    module.recompile()
    torch.testing.assert_close(module(*sample), torch.bmm(*sample))


def test_small_products_stay() -> None:
    class Product(nn.Module):
        def forward(self, a: Tensor, b: Tensor) -> Tensor:
            return torch.bmm(a, b)

    module = _module(export(Product(), (torch.randn(1, 8, 8), torch.randn(1, 8, 64))))
    assert not PutFeaturesFirst()(module).modified


class _Up(nn.Module):
    """The upsampling of `release-2023-12`."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv2d(8, 16, 1)
        self.shift: Tensor
        self.register_buffer("shift", torch.randn(1, 16, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return nn.functional.pixel_shuffle(torch.relu(self.conv(x)) + self.shift, 2)


@torch.no_grad()
@pytest.mark.parametrize("quantized", [True, False])
def test_shuffled_channels_are_ordered_by_position(quantized: bool) -> None:
    sample = (torch.randn(1, 8, 6, 5),)
    program = trace_network(_Up().eval(), sample)
    if quantized:
        program = quantize_program(program, [sample]).program
    expected, module = program.module()(*sample), _module(program)
    assert OrderShuffledChannels()(module).modified
    module.recompile()
    torch.testing.assert_close(module(*sample), expected)


@pytest.mark.parametrize("quantized", [tiny_quantized, tiny_partly_float])
def test_interleaved_pixels_are_the_same_image(quantized: Callable[[], QuantizedModel]) -> None:
    """With the first convolution in int8, and in float."""
    program = quantized().program
    image, maps, *points = next(iter(tiny_calibration()))
    pixels = torch.cat([image, maps], 1).permute(0, 2, 3, 1) - 128
    optimized = optimize(program, interleaved=True)
    assert optimized.example_inputs[0][0].shape == pixels.shape
    actual = optimized.module()(pixels.to(torch.int8), *points)
    expected = optimize(program, interleaved=False).module()(image, maps, *points)
    for a, b in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)

"""What is done to weights and biases before and after rounding, against the float network."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sqsam_deploy.quantization import QuantizationScheme, quantize_program, trace_network
from sqsam_deploy.quantization.equalization import equalize
from sqsam_deploy.quantization.float_programs import trace
from tests.runtimes.quantized_parameters import of_program
from tests.tiny_network import snr_db, tiny_calibration, tiny_folded


class _Branches(nn.Module):
    """A map that is pooled for one layer and joined to that layer's map for another one."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv2d(3, 8, 3, padding=1)
        self.inner = nn.Conv2d(8, 8, 3, padding=1)
        self.up = nn.ConvTranspose2d(8, 4, 2, stride=2)
        self.last = nn.Conv2d(12, 2, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        skip = F.relu(self.first(x))
        inner = F.relu(self.inner(F.max_pool2d(skip, kernel_size=2, stride=2)))
        out: torch.Tensor = self.last(torch.cat([skip, F.relu(self.up(inner))], dim=1))
        return out


@pytest.fixture
def samples() -> list[tuple[torch.Tensor]]:
    generator = torch.Generator().manual_seed(0)
    return [(torch.randn(1, 3, 16, 16, generator=generator),) for _ in range(4)]


@pytest.fixture
def uneven() -> nn.Module:
    """Channels whose ranges differ by up to 128 times, which the layers behind make up for."""
    torch.manual_seed(0)
    network = _Branches().eval().requires_grad_(False)
    factors = torch.exp2(-torch.arange(8.0))
    for layer, reader in ((network.first, network.inner), (network.inner, network.up)):
        layer.weight *= factors.reshape(-1, 1, 1, 1)
        layer.bias *= factors
        axis = (-1, 1, 1, 1) if reader is network.up else (1, -1, 1, 1)
        reader.weight /= factors.reshape(axis)
    network.last.weight[:, :8] /= factors.reshape(1, -1, 1, 1)
    return network


def _snr(network: nn.Module, samples: list, *refinements: str) -> float:
    scheme = QuantizationScheme(refinements=refinements)
    program = quantize_program(trace_network(network, samples[0]), samples, scheme).program
    with torch.inference_mode():
        pairs = [(network(*sample), program.module()(*sample)) for sample in samples]
    return snr_db(torch.cat([a for a, _ in pairs]), torch.cat([b for _, b in pairs]))


def test_equalization_keeps_the_float_network() -> None:
    network = trace(tiny_folded()).module()
    before, samples = copy.deepcopy(network), list(tiny_calibration())
    equalize(network, samples)
    changed = [
        name
        for (name, a), b in zip(before.named_parameters(), network.parameters(), strict=True)
        if not a.equal(b)
    ]
    assert {"encoder.stem.0.conv.weight", "decoder.levels.0.up.conv.weight"} <= set(changed)
    for sample in samples:
        for a, b in zip(before(*sample), network(*sample), strict=True):
            assert snr_db(a, b) > 120


def test_equalization_finds_ranges_that_another_layer_makes_up_for(uneven, samples) -> None:
    assert _snr(uneven, samples, "equalization") > _snr(uneven, samples) + 6


def test_corrected_biases_leave_no_mean_error_of_rounded_weights(samples) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 4, 3, padding=1).eval().requires_grad_(False)
    inputs = [(x.abs(),) for (x,) in samples]
    scheme = QuantizationScheme(refinements=("bias correction",))
    program = quantize_program(trace_network(layer, inputs[0]), inputs, scheme).program
    (weight,) = of_program(program)
    scales = torch.tensor(weight.scales).reshape(-1, 1, 1, 1)
    restored = torch.tensor(weight.values).permute(0, 3, 1, 2) * scales
    x = torch.cat([x for (x,) in inputs])
    error = layer(x) - F.conv2d(x, restored, program.state_dict["bias"], padding=1)
    uncorrected = layer(x) - F.conv2d(x, restored, layer.bias, padding=1)
    assert error.mean((0, 2, 3)).abs().max() < 1e-6 < uncorrected.mean((0, 2, 3)).abs().max() / 10


def test_what_stays_in_float_keeps_its_bias(samples) -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 2, 1)).eval().requires_grad_(False)
    scheme = QuantizationScheme(keep_float=("1",), refinements=("bias correction",))
    program = quantize_program(trace_network(network, samples[0]), samples, scheme).program
    assert program.state_dict["1.bias"].equal(network[1].bias)
    assert not program.state_dict["0.bias"].equal(network[0].bias)

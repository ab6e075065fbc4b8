"""Simulated programs are those that calibration and conversion make."""

import functools
from collections.abc import Callable

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from sqsam_deploy.quantization import QuantizationScheme, quantize
from sqsam_deploy.quantization.simulation import Simulation
from tests.tiny_network import snr_db, tiny_calibration, tiny_folded, tiny_quantized

pytestmark = pytest.mark.usefixtures("traced_leanly")


@functools.cache
def simulation() -> Simulation:
    return Simulation(tiny_quantized(), tiny_calibration())


def sample() -> tuple[torch.Tensor, ...]:
    return list(tiny_calibration())[1]


def names() -> list[str]:
    return [module.name for module in simulation().modules]


def test_every_int8_layer_has_its_module():
    # The joined inputs lie outside all modules, and are exact.
    assert {layer.name for layer in tiny_quantized().layers} - {""} == set(names())


@pytest.mark.parametrize(
    "stays_float",
    [
        lambda name: False,
        lambda name: ".1" in name or name.startswith("mask_head"),
        lambda name: name != "decoder.levels.0",
    ],
    ids=["nothing", "half of it", "all but a join"],
)
def test_the_outputs_are_those_of_the_converted_program(stays_float: Callable[[str], bool]):
    kept = set(filter(stays_float, names()))
    scheme = QuantizationScheme(keep_float=tuple(sorted(kept)))
    made = quantize(tiny_folded(), tiny_calibration(), scheme) if kept else tiny_quantized()
    with torch.inference_mode():
        expected = made.program.module()(*sample())
    actual = simulation().run(simulation().arrange(kept.__contains__), sample())
    for a, b in zip(expected, actual, strict=True):
        torch.testing.assert_close(b, a, rtol=0, atol=1e-5)


def test_percentile_ranges_are_simulated_too():
    scheme = QuantizationScheme("percentile")
    made = quantize(tiny_folded(), tiny_calibration(), scheme)
    simulated = Simulation(made, tiny_calibration())
    with torch.inference_mode():
        expected = made.program.module()(*sample())
    actual = simulated.run(simulated.arrange(lambda name: False), sample())
    for a, b in zip(expected, actual, strict=True):
        assert snr_db(a, b) > 60


def test_all_in_float_is_the_float_network():
    with torch.inference_mode():
        expected = tiny_folded().network(*sample())
    actual = simulation().run(simulation().arrange(lambda name: True), sample())
    for a, b in zip(expected, actual, strict=True):
        assert snr_db(a, b) > 100


def test_a_kept_run_gives_what_a_whole_run_gives():
    whole = simulation().arrange(lambda name: False)
    for name in names()[::8]:
        other = simulation().arrange(name.__eq__)
        changed = simulation().changed(whole, other)
        _, values = simulation().record(whole, sample(), [changed])
        expected = simulation().run(other, sample())
        actual = simulation().run(other, sample(), values, changed)
        for a, b in zip(expected, actual, strict=True):
            assert torch.equal(a, b)


def test_work_is_what_torch_counts():
    with FlopCounterMode(display=False) as counter, torch.inference_mode():
        tiny_folded().network(*sample())
    counted = {
        name.partition(".")[2]: sum(flops.values()) // 2
        for name, flops in counter.get_flop_counts().items()
    }
    for module in simulation().modules:
        if module.op != "cat":
            assert module.work == counted[module.name], module

"""The int8 weights and scales in the packages are those of the quantized program."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from torch.export import ExportedProgram

from sqsam_deploy.artifact.metadata import PrecisionName
from sqsam_deploy.runtimes.coreml.package import read_package
from sqsam_deploy.runtimes.coreml.reference.program import Reference, Step, load_program
from tests.runtimes.coreml.small_network import Package
from tests.runtimes.quantized_parameters import (
    QuantizedParameter,
    activation_scales_of_program,
    convolution,
    of_program,
    scales_by_weight,
)


def of_mlpackage(path: Path) -> list[QuantizedParameter]:
    """Weights of a package: every per-channel constexpr_affine_dequantize.

    A power of two between a layer's weight scales and its input (`half_scales`) is taken out.
    """
    steps = load_program(read_package(path)).steps
    produced = {step.output: step for step in steps}
    return [
        _parameter(step, _power_of_two(step, steps, produced))
        for step in steps
        if step.kind == "constexpr_affine_dequantize" and step.tensors["scale"].ndim == 1
    ]


def _parameter(step: Step, factor: float) -> QuantizedParameter:
    zero_point = step.tensors["zero_point"].numpy()
    shift = 128 if zero_point.dtype == np.uint8 else 0
    assert np.all(zero_point == shift)
    values = (step.tensors["quantized_data"].numpy().astype(np.int16) - shift).astype(np.int8)
    scales = step.tensors["scale"].float().numpy() * np.float32(factor)
    if values.ndim == 2:
        return QuantizedParameter(values, scales)
    return convolution(values, scales, transposed=step.attributes["axis"] == 1)


def _power_of_two(weight: Step, steps: tuple[Step, ...], produced: dict[str, Step]) -> float:
    layer = next(s for s in steps if s.tensors.get("weight") == Reference(weight.output))
    source = produced[layer.tensors["x"].name]
    if source.kind == "dequantize":
        quantize = produced[source.tensors["input"].name]
        return float(source.tensors["scale"] / quantize.tensors["scale"])
    if source.kind == "mul" and not isinstance(source.tensors["y"], Reference):
        return float(source.tensors["y"])
    return 1.0


def activation_scales_of_mlpackage(path: Path) -> set[tuple[np.float32, int]]:
    """(scale, int8 zero point) of every quantize; Core ML's uint8 counts from 0, not -128."""
    found = set()
    for step in load_program(read_package(path)).steps:
        if step.kind == "quantize":
            point = int(step.tensors.get("zero_point", 0))
            shift = 128 if step.attributes["output_dtype"] == "uint8" else 0
            found.add((np.float32(step.tensors["scale"].float()), point - shift))
    return found


@pytest.mark.parametrize("precision", ["int8", "int8-weights"])
def test_weights_and_scales_are_the_programs(
    precision: PrecisionName, package: Package, program: Callable[[PrecisionName], ExportedProgram]
) -> None:
    expected = scales_by_weight(of_program(program("int8")))
    actual = scales_by_weight(of_mlpackage(package(precision)))
    assert actual.keys() == expected.keys()
    for weight, scales in expected.items():
        np.testing.assert_array_equal(actual[weight], scales)


def test_activation_scales_are_the_programs(
    package: Package, program: Callable[[PrecisionName], ExportedProgram]
) -> None:
    expected = activation_scales_of_program(program("int8"))
    actual = activation_scales_of_mlpackage(package("int8"))
    assert actual <= expected
    assert len(actual) > 20

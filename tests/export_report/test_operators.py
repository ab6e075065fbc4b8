"""Operators are counted as the runtimes have them."""

from collections import Counter

import pytest

from sqsam_deploy.export_report.operators.coreml import mil_operations_of
from sqsam_deploy.export_report.operators.counts import counted, total
from sqsam_deploy.export_report.operators.executorch import delegated_operators
from sqsam_deploy.export_report.operators.onnx import run_operators
from sqsam_deploy.runtimes.coreml.package import read_package
from sqsam_deploy.runtimes.coreml.reference.program import load_program


@pytest.mark.parametrize("name", ["tiny-fp16.pte", "tiny-int8.pte"])
def test_the_file_has_outside_what_lowering_left_outside(small_export, name):
    found = delegated_operators(small_export.directory / name)
    assert (total(found.outside), found.delegate_calls) == small_export.lowered[name]


def test_int8_and_float_are_told_apart_in_the_delegate(small_export):
    int8 = delegated_operators(small_export.directory / "tiny-int8.pte")
    fp16 = delegated_operators(small_export.directory / "tiny-fp16.pte")
    assert fp16.int8 == fp16.conversions == ()
    assert {item.name for item in int8.int8} >= {"Conv2d", "FullyConnected", "ConvTranspose2d"}
    assert "Softmax" in {item.name for item in int8.in_float}
    convolutions = {item.name: item.count for item in fp16.in_float}["Conv2d"]
    assert {item.name: item.count for item in int8.int8}["Conv2d"] == convolutions


def test_kernels_of_a_profile_are_sorted_by_their_inputs():
    trace = [
        _kernel(0, "QuantizeLinear", "float"),
        _kernel(1, "QLinearConv", "uint8"),
        _kernel(1, "QLinearConv", "uint8"),
        _kernel(2, "QLinearConcat", "float", "uint8"),
        _kernel(3, "Transpose", "int8"),
        _kernel(4, "Conv", "float"),
        {"name": "model_run", "args": {}},
    ]
    found = run_operators(trace)
    assert found.int8 == counted(["QLinearConv", "QLinearConcat", "Transpose"])
    assert found.in_float == counted(["Conv"])
    assert found.conversions == counted(["QuantizeLinear"])


def _kernel(index: int, operator: str, *types: str) -> dict[str, object]:
    inputs = [{name: [1]} for name in types]
    arguments = {"node_index": str(index), "op_name": operator, "input_type_shape": inputs}
    return {"name": f"{operator}_kernel_time", "args": arguments}


def test_core_ml_operations_are_those_the_reference_executor_runs(small_export):
    path = small_export.directory / "tiny-int8.mlpackage"
    found = mil_operations_of(path)
    steps = Counter(step.kind for step in load_program(read_package(path)).steps)
    for item in found.operations:
        assert steps.pop(item.name) == item.count
    assert found.quantizing == steps.pop("quantize") + steps.pop("dequantize")
    assert found.casts == steps.pop("cast", 0)
    assert found.compressed_weights == sum(steps.values())


def test_the_model_inside_a_delegate_is_read_too(small_export):
    inside = mil_operations_of(small_export.directory / "tiny-fp16-coreml.pte")
    assert "conv" in {item.name for item in inside.operations}
    assert inside.quantizing == inside.compressed_weights == 0

"""Operators are counted as the runtimes have them."""

from collections import Counter
from pathlib import Path

import torch

from sqsam_deploy.runtimes.coreml.package import read_package
from sqsam_deploy.runtimes.coreml.reference.program import load_program
from sqsam_deploy.runtimes.executorch.lowering import delegate
from sqsam_deploy.runtimes.inspection import OperatorGroup, count_operators
from sqsam_deploy.runtimes.onnx.profile import run_operators
from sqsam_deploy.runtimes.registry import runtime_of
from tests.tiny_network import tiny_folded, tiny_metadata


def _operators(path: Path) -> dict[str, OperatorGroup]:
    return {group.title: group for group in runtime_of(path).inspect(path).operators}


def _counts(group: OperatorGroup) -> dict[str, int]:
    return {item.name: item.count for item in group.operators}


class _Interrupted(torch.nn.Module):
    """Two convolutions with a sum between them that XNNPACK does not take."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Conv2d(1, 2, 3), torch.nn.Conv2d(2, 1, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.second(self.first(image).cumsum(dim=2))


def test_the_file_has_outside_what_lowering_left_outside(tmp_path):
    program = torch.export.export(_Interrupted().eval(), (torch.ones(1, 1, 8, 8),))
    edge = delegate(program, tiny_metadata("tiny-fp16.pte"))
    nodes = edge.exported_program().graph.nodes
    called = [getattr(n.target, "__name__", "") for n in nodes if n.op == "call_function"]
    kernels = [name for name in called if name not in ("executorch_call_delegate", "getitem")]
    assert any("cumsum" in name for name in kernels)
    (tmp_path / "cut.pte").write_bytes(edge.to_executorch().buffer)
    found = _operators(tmp_path / "cut.pte")
    assert found["outside the delegate"].total == len(kernels)
    assert found["calls of the delegate"].total == called.count("executorch_call_delegate") == 2


def test_int8_and_float_are_told_apart_in_the_delegate(small_export):
    int8 = _operators(small_export.directory / "tiny-int8.pte")
    fp16 = _operators(small_export.directory / "tiny-fp16.pte")
    assert fp16["inside, int8"].operators == fp16["conversions"].operators == ()
    assert "Softmax" in _counts(int8["inside, float"])
    modules = Counter(type(module) for module in tiny_folded().network.modules())
    convolutions = modules[torch.nn.Conv2d] + modules[torch.nn.ConvTranspose2d]
    for counts in (_counts(int8["inside, int8"]), _counts(fp16["inside, float"])):
        # The product of masks and map is a convolution, too, in float.
        assert counts["Conv2d"] + counts.get("ConvTranspose2d", 0) in range(
            convolutions, convolutions + 2
        )


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
    assert run_operators(trace) == (
        OperatorGroup("int8", count_operators(["QLinearConv", "QLinearConcat", "Transpose"])),
        OperatorGroup("float", count_operators(["Conv"])),
        OperatorGroup("conversions", count_operators(["QuantizeLinear"])),
    )


def _kernel(index: int, operator: str, *types: str) -> dict[str, object]:
    inputs = [{name: [1]} for name in types]
    arguments = {"node_index": str(index), "op_name": operator, "input_type_shape": inputs}
    return {"name": f"{operator}_kernel_time", "args": arguments}


def test_core_ml_operations_are_those_the_reference_executor_runs(small_export):
    path = small_export.directory / "tiny-int8.mlpackage"
    found = _operators(path)
    steps = Counter(step.kind for step in load_program(read_package(path)).steps)
    for name, count in _counts(found["operations"]).items():
        assert steps.pop(name) == count
    assert found["quantizing"].total == steps.pop("quantize") + steps.pop("dequantize")
    assert found["casts"].total == steps.pop("cast", 0)
    assert found["compressed weights"].total == sum(steps.values())


def test_the_model_inside_a_delegate_is_read_too(small_export):
    inside = _operators(small_export.directory / "tiny-fp16-coreml.pte")
    assert "conv" in _counts(inside["operations"])
    assert inside["quantizing"].total == inside["compressed weights"].total == 0

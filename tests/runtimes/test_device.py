"""Requirements of artifacts on phones, read from files whose content is known."""

import dataclasses
import tomllib
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
import onnx
import pytest

from sqsam_deploy._internal.progress import SilentSteps
from sqsam_deploy.artifact.requirements import Requirements, highest
from sqsam_deploy.errors import GateError
from sqsam_deploy.pipeline.build import Builder
from sqsam_deploy.pipeline.targets import Target
from sqsam_deploy.runtimes.base import Runtime
from sqsam_deploy.runtimes.coreml.device import package_checks
from sqsam_deploy.runtimes.coreml.package import read_package
from sqsam_deploy.runtimes.device import DeviceCheck, DeviceRule, OnDevice
from sqsam_deploy.runtimes.registry import all_runtimes, find_runtime, runtime_of
from tests.tiny_network import tiny_metadata

Artifact = Callable[[str], Path]


def outcomes(checks: tuple[DeviceCheck, ...]) -> dict[str, str]:
    return {check.rule.key: check.outcome for check in checks}


def on_device(path: Path) -> OnDevice:
    return runtime_of(path).on_device(runtime_of(path).read_metadata(path), path)


def kernel_names(path: Path) -> list[str]:
    """Operators by ExecuTorch's own reader."""
    from executorch.exir._serialize._program import deserialize_pte_binary

    program = deserialize_pte_binary(path.read_bytes()).program
    (plan,) = (plan for plan in program.execution_plan if plan.name == "forward")
    return [operator.name for operator in plan.operators]


def test_an_int8_program_needs_no_kernels(tiny_artifact: Artifact) -> None:
    path = tiny_artifact("tiny-int8.pte")
    found = on_device(path).requirements
    assert kernel_names(path) == []
    assert found.operators_outside == {}
    assert found.delegates == ("XnnpackBackend",)
    (package,) = found.swift
    assert package.products == ("executorch", "backend_xnnpack")
    assert outcomes(on_device(path).checks) == {"kernels": "kept", "backends": "kept"}


def test_operators_outside_bring_the_library_of_kernels(tiny_artifact: Artifact) -> None:
    path = tiny_artifact("tiny-fp16.pte")
    found = on_device(path).requirements
    assert found.operators_outside is not None
    names = {name.rpartition(".")[0] for name in found.operators_outside}
    assert names == set(kernel_names(path)) != set()
    (package,) = found.swift
    assert package.products == ("executorch", "backend_xnnpack", "kernels_optimized")
    assert outcomes(on_device(path).checks)["kernels"] == "warning"


def test_a_core_ml_delegate_brings_its_backend_and_no_android(tiny_artifact: Artifact) -> None:
    path = tiny_artifact("tiny-fp16-coreml.pte")
    found = on_device(path).requirements
    (package,) = found.swift
    assert package.products == ("executorch", "backend_coreml")
    assert (found.maven, found.android_api) == ((), None)
    rules = outcomes(on_device(path).checks)
    assert (rules["backends"], rules["compute-units"]) == ("kept", "kept")
    assert rules["ranks"] == "kept"


def test_without_the_file_nothing_that_may_be_needed_is_left_out(tiny_artifact: Artifact) -> None:
    for name in ("tiny-int8.pte", "tiny-fp16.pte", "tiny-fp16-coreml.pte"):
        path = tiny_artifact(name)
        runtime = runtime_of(path)
        (any_file,) = runtime.requirements(runtime.read_metadata(path)).swift
        (this_file,) = on_device(path).requirements.swift
        assert set(this_file.products) <= set(any_file.products)
        assert any_file.branch == this_file.branch


def test_the_highest_system_is_found_by_number() -> None:
    assert highest("9.0", None, "17.0", "10.5") == "17.0"
    assert highest(None) is None


@pytest.mark.parametrize("runtime", all_runtimes(), ids=lambda runtime: runtime.name)
def test_every_rule_says_where_it_was_read(runtime: Runtime, tiny_artifact: Artifact) -> None:
    names = {"executorch": "tiny-int8.pte", "coreml": "tiny-int8.mlpackage"}
    names |= {"onnx": "tiny-int8.onnx", "executorch-coreml": "tiny-fp16-coreml.pte"}
    if runtime.name not in names:
        pytest.skip("no tiny artifact")
    checks = on_device(tiny_artifact(names[runtime.name])).checks
    keys = [check.rule.key for check in checks]
    assert len(set(keys)) == len(keys) > 0
    assert all(check.rule.source and check.rule.otherwise for check in checks)


def core_ml_checks(
    folder: Path, main: Callable[[Any], Callable[..., Any]], *shapes: tuple[int, ...]
) -> dict[str, str]:
    """Outcomes for an ML Program of a few operators; `main` is given coremltools' builder."""
    import coremltools as ct
    from coremltools.converters.mil import Builder

    target = ct.target.iOS17
    specs = [Builder.TensorSpec(shape=shape) for shape in shapes]
    program = Builder.program(input_specs=specs, opset_version=target)(main(Builder))
    path = folder / "made.mlpackage"
    # coremltools refuses what one of the rules is about; other converters do not.
    with mock.patch.object(type(program), "_check_invalid_tensor_rank"):
        ct.convert(program, minimum_deployment_target=target, skip_model_load=True).save(str(path))
    return outcomes(package_checks(read_package(path)))


def test_a_dimension_over_the_neural_engines_is_found(tmp_path: Path) -> None:
    def product(build: Any) -> Callable[..., Any]:
        return lambda a, b: build.matmul(x=a, y=b)

    wide = core_ml_checks(tmp_path, product, (1, 3, 4), (1, 4, 16_385))
    assert wide["dimensions"] == "warning"
    assert core_ml_checks(tmp_path, product, (1, 3, 4), (1, 4, 16_384))["dimensions"] == "kept"


def test_a_value_of_six_dimensions_is_refused(tmp_path: Path) -> None:
    def more(build: Any) -> Callable[..., Any]:
        return lambda a: build.relu(x=build.reshape(x=a, shape=(1, 1, 1, 2, 2, 2)))

    assert core_ml_checks(tmp_path, more, (2, 4))["ranks"] == "broken"


@pytest.mark.parametrize(("zero_point", "outcome"), [(5, "warning"), (0, "kept")])
def test_a_zero_point_is_found(zero_point: int, outcome: str, tmp_path: Path) -> None:
    how = {"scale": np.float16(0.125), "zero_point": np.int8(zero_point)}

    def quantized(build: Any) -> Callable[..., Any]:
        def body(a: Any) -> Any:
            held = build.quantize(input=build.cast(x=a, dtype="fp16"), output_dtype="int8", **how)
            return build.dequantize(input=held, **how)

        return body

    assert core_ml_checks(tmp_path, quantized, (1, 2, 4, 4))["zero-points"] == outcome


def test_onnx_says_which_providers_take_a_file(tiny_artifact: Artifact) -> None:
    int8 = outcomes(on_device(tiny_artifact("tiny-int8.onnx")).checks)
    assert int8 == {
        "versions": "kept",
        "coreml-provider": "warning",
        "xnnpack-provider": "warning",
    }
    fp32 = outcomes(on_device(tiny_artifact("tiny-fp32.onnx")).checks)
    assert set(fp32.values()) == {"kept"}


def test_an_operator_set_that_old_runtimes_lack_is_refused(
    tiny_artifact: Artifact, tmp_path: Path
) -> None:
    model = onnx.load(tiny_artifact("tiny-fp32.onnx"))
    model.opset_import[0].version = 23
    onnx.save(model, tmp_path / "newer.onnx")
    assert outcomes(on_device(tmp_path / "newer.onnx").checks)["versions"] == "broken"


def test_an_artifact_that_no_phone_runs_is_not_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    onnx_runtime = find_runtime("onnx")
    rule = DeviceRule("wings", "It has wings.", "It does not fly.", "a book", breaks=True)
    lowered: list[Path] = []
    monkeypatch.setattr(type(onnx_runtime), "lower", lambda *given: lowered.append(given[-1]))
    found = OnDevice(Requirements(), (rule.check(["it has none"]),))
    monkeypatch.setattr(type(onnx_runtime), "on_device", lambda *given: found)
    network: Any = SimpleNamespace(
        name="tiny", describe=lambda **given: tiny_metadata("tiny-fp32.onnx")
    )
    programs: Any = SimpleNamespace(make=lambda *given: None)
    comparison: Any = None
    builder = Builder(network, programs, comparison, tmp_path)
    with pytest.raises(GateError, match=r"tiny-fp32\.onnx.*wings.*a book.*it has none"):
        builder.build([Target("onnx", "fp32")], SilentSteps())
    assert lowered == [tmp_path / "tiny-fp32.onnx"]


@pytest.mark.parametrize("name", ["executorch", "onnx", "litert"])
def test_gradle_lines_are_those_of_the_android_library(name: str) -> None:
    text = (Path(__file__).parents[2] / "android_harness/gradle/libs.versions.toml").read_text()
    versions = tomllib.loads(text)["versions"]
    runtime = find_runtime(name)
    metadata = tiny_metadata("tiny-fp32.onnx")
    ((_, _, version),) = (line.split(":") for line in runtime.requirements(metadata).maven)
    assert version == versions[{"onnx": "onnxruntime"}.get(name, name)]


def test_the_swift_package_is_the_one_that_the_library_pins() -> None:
    (package,) = find_runtime("executorch").requirements(tiny_metadata("tiny-fp16.pte")).swift
    text = (Path(__file__).parents[2] / "ios_harness/ExecuTorch/Package.swift").read_text()
    assert str(package.branch).removeprefix("swiftpm-") in text
    assert all(product in text for product in package.products)


def test_half_precision_asks_for_a_newer_runtime_than_the_others() -> None:
    asked = {
        name: find_runtime("executorch").minimum_runtime(tiny_metadata(name))
        for name in ("tiny-int8.pte", "tiny-fp16.pte")
    }
    assert "1.4" in asked["tiny-int8.pte"]
    assert "1.5" in asked["tiny-fp16.pte"]


def test_a_warning_does_not_break(tmp_path: Path) -> None:
    rule = DeviceRule("a", "b", "c", "d")
    assert rule.check([]).outcome == "kept"
    assert rule.check(["x", "y"]).outcome == "warning"
    assert dataclasses.replace(rule, breaks=True).check(["x"]).outcome == "broken"

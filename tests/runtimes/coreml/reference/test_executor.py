"""The executor on small programs: rounding, image inputs, freeing, contradictions."""

import weakref
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sqsam_deploy._internal.upstream.coremltools import coremltools
from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.runtimes.coreml.images import channel_orders, to_program_inputs
from sqsam_deploy.runtimes.coreml.package import Package, read_package, write_package
from sqsam_deploy.runtimes.coreml.reference import ReferenceExecutor
from sqsam_deploy.runtimes.coreml.reference.operators.table import Operator
from sqsam_deploy.runtimes.coreml.reference.program import (
    Reference,
    ReferenceProgram,
    Step,
    load_program,
)


def converted(path: Path, shape: tuple[int, ...], body: Any, **options: Any) -> Package:
    """A package of one small MIL function, saved and read again."""
    ct = coremltools()
    from coremltools.converters.mil.mil import Builder as mb  # noqa: N813 - its usual name

    @mb.program(input_specs=[mb.TensorSpec(shape=shape)], opset_version=ct.target.iOS17)
    def program(x: Any) -> Any:
        return body(mb, x)

    model = ct.convert(
        program,
        convert_to="mlprogram",
        minimum_deployment_target=ct.target.iOS17,
        skip_model_load=True,
        **options,
    )
    weights = Path(model.weights_dir) / "weight.bin"
    if not weights.exists():
        weights.parent.mkdir(parents=True, exist_ok=True)
        weights.write_bytes(b"")
    write_package(model.get_spec(), weights, path)
    return read_package(path)


@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_an_image_input_is_ordered_scaled_and_shifted(order: str, tmp_path: Path) -> None:
    ct = coremltools()
    image_type = ct.ImageType(
        name="x", color_layout=ct.colorlayout[order], scale=0.5, bias=[1.0, 2.0, 3.0]
    )
    package = converted(
        tmp_path / "image.mlpackage",
        (1, 3, 4, 6),
        lambda mb, x: mb.identity(x=x),
        inputs=[image_type],
        compute_precision=ct.precision.FLOAT32,
    )
    image = np.random.default_rng(0).integers(0, 256, (1, 4, 6, 3), dtype=np.uint8)
    inputs = to_program_inputs({"x": image}, channel_orders(package.model))
    (result,) = ReferenceExecutor(load_program(package)).run(inputs).values()
    ordered = image if order == "RGB" else image[..., ::-1]
    expected = ordered.astype(np.float32) * 0.5 + np.array([1.0, 2.0, 3.0])
    np.testing.assert_allclose(result.numpy(), expected.transpose(0, 3, 1, 2))


def test_half_precision_is_rounded_after_every_operator(tmp_path: Path) -> None:
    ct = coremltools()
    package = converted(
        tmp_path / "half.mlpackage",
        (4,),
        lambda mb, x: mb.sub(x=mb.add(x=x, y=np.float32(1000.0)), y=np.float32(1000.0)),
        compute_precision=ct.precision.FLOAT16,
    )
    x = torch.tensor([0.1, 0.26, 0.74, -0.4])
    (result,) = ReferenceExecutor(load_program(package)).run({"x": x}).values()
    # Between 512 and 1024 float16 has steps of a half.
    np.testing.assert_array_equal(result.float().numpy(), [0.0, 0.5, 0.5, -0.5])


def chain(length: int, function: Any, declared: tuple[int, ...] = (2,)) -> ReferenceProgram:
    row = Operator(function, frozenset({"x"}), frozenset({"x"}))
    steps = tuple(
        Step("relu", row, {"x": Reference(f"v{i}")}, {}, f"v{i + 1}", torch.float32, declared)
        for i in range(length)
    )
    return ReferenceProgram({"v0": ((2,), torch.float32)}, steps, (f"v{length}",))


def test_a_value_is_freed_after_its_last_use() -> None:
    results: list[weakref.ref[Tensor]] = []
    alive: list[int] = []

    def double(x: Tensor) -> Tensor:
        alive.append(sum(ref() is not None for ref in results))
        result = x * 2
        results.append(weakref.ref(result))
        return result

    outputs = ReferenceExecutor(chain(6, double)).run({"v0": torch.ones(2)})
    assert outputs["v6"].tolist() == [64.0, 64.0]
    # Only the input of the running step lives.
    assert max(alive) == 1


def test_a_result_that_contradicts_its_declaration_is_an_error() -> None:
    program = chain(1, lambda x: x, declared=(3,))
    with pytest.raises(ArtifactError, match=r"v1.*\(2,\).*\(3,\)"):
        ReferenceExecutor(program).run({"v0": torch.ones(2)})


@pytest.mark.parametrize("inputs", [{}, {"v0": torch.ones(5)}], ids=["missing", "misshapen"])
def test_a_missing_or_misshapen_input_is_named(inputs: dict[str, Tensor]) -> None:
    with pytest.raises(ArtifactError, match="input 'v0'"):
        ReferenceExecutor(chain(1, torch.relu)).run(inputs)


def test_an_operator_with_an_unknown_input_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from sqsam_deploy.runtimes.coreml.reference.operators import table

    package = converted(
        tmp_path / "softmax.mlpackage", (2, 3), lambda mb, x: mb.softmax(x=x, axis=1)
    )
    # As an operator that a later version of Core ML gives one more input.
    row = table.find_operator("softmax")
    narrower = Operator(row.function, row.inputs - {"axis"}, row.tensors)
    monkeypatch.setitem(table._TABLE, "softmax", narrower)
    with pytest.raises(ArtifactError, match=r"'axis'.*'softmax'"):
        load_program(package)

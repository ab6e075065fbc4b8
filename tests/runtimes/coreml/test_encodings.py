"""The same numbers, written as phones take them: nothing that is computed changes."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.export import ExportedProgram

from sqsam_deploy.artifact.metadata import ArtifactMetadata, arrange_inputs
from sqsam_deploy.model.description import default_inputs
from sqsam_deploy.runtimes.coreml import RUNTIME
from sqsam_deploy.runtimes.coreml.device import package_checks
from sqsam_deploy.runtimes.coreml.mask_product import masks_by_rows
from sqsam_deploy.runtimes.coreml.package import read_package
from sqsam_deploy.runtimes.coreml.reference.program import load_program
from sqsam_deploy.runtimes.coreml.unsigned import unsigned_activations
from tests.tiny_network import TINY, tiny_metadata, tiny_program

pytestmark = pytest.mark.usefixtures("traced_leanly")

ENCODINGS = ("signed", "unsigned")


def metadata_for(precision: str, encoding: str) -> ArtifactMetadata:
    update = {
        "precision": precision,
        "options": {"weight_encoding": encoding},
        "inputs": arrange_inputs(default_inputs(TINY), "image"),
    }
    return tiny_metadata("tiny-int8.mlpackage").model_copy(update=update)


@pytest.fixture(scope="module")
def lowered(
    tiny_artifact: Callable[[str], Path], tmp_path_factory: pytest.TempPathFactory
) -> dict[tuple[str, str], Path]:
    folder = tmp_path_factory.mktemp("encodings")
    # Signed is the default of int8.
    made = {("int8", "signed"): tiny_artifact("tiny-int8.mlpackage")}
    others = {*itertools.product(("int8", "int8-weights"), ENCODINGS)} - {*made}
    for precision, encoding in sorted(others):
        path = folder / f"{precision}-{encoding}.mlpackage"
        RUNTIME.lower(tiny_program("int8"), metadata_for(precision, encoding), path)
        made[precision, encoding] = path
    return made


def inputs() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    size = TINY.image_size
    return {
        "image": rng.integers(0, 256, (1, size, size, 3), dtype=np.uint8),
        "prompt_maps": 255 * rng.integers(0, 2, (1, 2, size, size)).astype(np.float32),
        "point_coords": rng.uniform(0, size, (1, TINY.max_points, 2)).astype(np.float32),
        "point_labels": rng.integers(-1, 4, (1, TINY.max_points)).astype(np.float32),
    }


@pytest.mark.parametrize("precision", ["int8", "int8-weights"])
def test_both_encodings_of_the_weights_give_the_same_bits(
    precision: str, lowered: dict[tuple[str, str], Path]
) -> None:
    first, second = (
        RUNTIME.open_session(lowered[precision, encoding]).execute(inputs())
        for encoding in ENCODINGS
    )
    for name, value in first.items():
        np.testing.assert_array_equal(value, second[name])


@pytest.mark.parametrize("precision", ["int8", "int8-weights"])
def test_the_weights_are_stored_as_asked(
    precision: str, lowered: dict[tuple[str, str], Path]
) -> None:
    for encoding, dtype in zip(ENCODINGS, (torch.int8, torch.uint8), strict=True):
        package = read_package(lowered[precision, encoding])
        weights = [
            step.tensors
            for step in load_program(package).steps
            if step.kind == "constexpr_affine_dequantize"
        ]
        assert {weight["quantized_data"].dtype for weight in weights} == {dtype}
        zero = 0 if encoding == "signed" else 128
        assert {int(z) for w in weights for z in w["zero_point"].flatten()} == {zero}
        (check,) = (c for c in package_checks(package) if c.rule.key == "signed-weights")
        assert check.outcome == ("warning" if encoding == "signed" else "kept")


def test_the_default_encoding_depends_on_what_is_done_with_the_weights() -> None:
    assert RUNTIME.chosen_options("int8") == {"weight_encoding": "signed"}
    assert RUNTIME.chosen_options("int8-weights") == {"weight_encoding": "unsigned"}
    chosen = RUNTIME.chosen_options("int8", {"weight_encoding": "unsigned"})
    assert chosen == {"weight_encoding": "unsigned"}


def test_no_map_that_begins_at_zero_keeps_a_zero_point(
    lowered: dict[tuple[str, str], Path],
) -> None:
    steps = load_program(read_package(lowered["int8", "signed"])).steps
    quantizing = [step for step in steps if step.kind in ("quantize", "dequantize")]
    points = [step.tensors.get("zero_point") for step in quantizing]
    assert quantizing
    assert not [point for point in points if point is not None and int(point) == -128]


def run(program: ExportedProgram) -> tuple[torch.Tensor, ...]:
    fed = inputs()
    fed["image"] = np.moveaxis(fed["image"], 3, 1).astype(np.float32)
    with torch.inference_mode():
        outputs: tuple[torch.Tensor, ...] = program.module()(*map(torch.from_numpy, fed.values()))
    return outputs


def test_unsigned_activations_change_no_bit() -> None:
    program = tiny_program("int8")
    changed = unsigned_activations(program)
    for before, after in zip(run(program), run(changed), strict=True):
        assert torch.equal(before, after)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_masks_by_rows_are_the_same_sums_without_a_wide_dimension(precision: str) -> None:
    program = tiny_program(precision)
    largest = 4 * TINY.mask_size
    changed = masks_by_rows(program, largest)

    def widest(found: ExportedProgram) -> int:
        values = (node.meta.get("val") for node in found.graph.nodes if node.op == "call_function")
        return max(max(value.shape, default=1) for value in values if value is not None)

    assert widest(program) == TINY.mask_size**2 > largest >= widest(changed)
    for before, after in zip(run(program), run(changed), strict=True):
        torch.testing.assert_close(before, after, rtol=1e-5, atol=1e-5)


def test_a_program_within_the_limit_is_left_alone() -> None:
    program = tiny_program("fp32")
    assert masks_by_rows(program) is program

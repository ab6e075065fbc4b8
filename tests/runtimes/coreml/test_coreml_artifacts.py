"""Packages of every precision, loaded from disk and executed on a real photo."""

import dataclasses
import platform
from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.export import ExportedProgram

import sqsam_deploy
from sqsam_deploy.artifact.metadata import METADATA_KEY, PrecisionName
from sqsam_deploy.folding import FoldedModel
from sqsam_deploy.model.config import PAPER, RELEASE_2023_12, ModelConfig
from sqsam_deploy.quantization import export_fp32
from sqsam_deploy.quantization.calibration import network_inputs
from sqsam_deploy.runtimes.coreml import RUNTIME as COREML
from sqsam_deploy.runtimes.coreml.conversion import convert
from sqsam_deploy.runtimes.coreml.half_scales import with_normal_scales
from sqsam_deploy.runtimes.coreml.package import read_package, write_package
from sqsam_deploy.runtimes.coreml.programs import weights_only
from sqsam_deploy.runtimes.coreml.reference.executor import compute
from sqsam_deploy.runtimes.coreml.reference.program import load_program
from sqsam_deploy.runtimes.session import RawPrediction
from tests.runtimes.coreml.small_network import (
    SMALL,
    Package,
    Photo,
    metadata_of,
    real_photo,
)
from tests.tiny_network import tiny_folded

pytestmark = [
    pytest.mark.usefixtures("traced_leanly"),
    pytest.mark.skipif(
        platform.system() == "Darwin", reason="checks the reference executor's arithmetic"
    ),
]
Programs = Callable[[PrecisionName], ExportedProgram]


@torch.inference_mode()
def in_torch(module: torch.nn.Module, photo: Photo) -> RawPrediction:
    masks, iou = module(*network_inputs(*photo, SMALL))
    return RawPrediction(masks[0].numpy(), iou[0].numpy())


def difference(a: RawPrediction, b: RawPrediction) -> float:
    """Largest difference of a logit or IoU, as a share of the largest value."""
    return max(
        float(np.abs(x - y).max() / np.abs(y).max())
        for x, y in (
            (a.low_res_masks, b.low_res_masks),
            (a.iou_predictions, b.iou_predictions),
        )
    )


def test_fp32_is_the_folded_network(package: Package, folded: FoldedModel, photo: Photo) -> None:
    executed = COREML.open_session(package("fp32")).run(*photo)
    assert difference(executed, in_torch(folded.network, photo)) < 1e-5


def test_fp16_rounds_to_half_precision_and_stays_close(
    package: Package, folded: FoldedModel, photo: Photo
) -> None:
    executed = COREML.open_session(package("fp16")).run(*photo)
    logits = torch.from_numpy(executed.low_res_masks)
    assert torch.equal(logits.half().float(), logits)
    assert 1e-6 < difference(executed, in_torch(folded.network, photo)) < 0.02


def test_int8_computed_in_float32_is_the_quantized_program(
    program: Programs, folded: FoldedModel, photo: Photo, tmp_path: Path
) -> None:
    metadata, path = metadata_of(SMALL, "int8"), tmp_path / "single.mlpackage"
    source = with_normal_scales(program("int8"))
    converted = convert(source, metadata.inputs, metadata.outputs, "fp32")
    model = converted.get_spec()
    model.description.metadata.userDefined[METADATA_KEY] = metadata.model_dump_json()
    write_package(model, Path(converted.weights_dir) / "weight.bin", path)
    executed = COREML.open_session(path).run(*photo)
    quantized = in_torch(program("int8").module(), photo)
    # Sums in another order move a few activations by one step, and no more.
    lost = difference(quantized, in_torch(folded.network, photo))
    assert difference(executed, quantized) < 0.2 * lost


def test_half_precision_costs_int8_less_than_quantization_does(
    package: Package, program: Programs, folded: FoldedModel, photo: Photo
) -> None:
    executed = COREML.open_session(package("int8")).run(*photo)
    quantized = in_torch(program("int8").module(), photo)
    lost = difference(quantized, in_torch(folded.network, photo))
    assert difference(executed, quantized) < lost


def test_weight_only_int8_is_the_quantized_program_without_its_activations_rounded(
    package: Package, program: Programs, photo: Photo
) -> None:
    executed = COREML.open_session(package("int8-weights")).run(*photo)
    unrounded = in_torch(weights_only(program("int8")).module(), photo)
    assert difference(executed, unrounded) < 0.02


def test_weight_only_int8_quantizes_no_activation(package: Package) -> None:
    (function,) = read_package(package("int8-weights")).model.mlProgram.functions.values()
    (block,) = function.block_specializations.values()
    kinds = {operation.type for operation in block.operations}
    assert "constexpr_affine_dequantize" in kinds
    assert not kinds & {"quantize", "dequantize"}


#: Some of its layers have palettes of six bits, as all have in `palettized-6bit`.
PALETTIZED: PrecisionName = "palettized-4bit"


def test_palettized_weights_give_the_masks_of_a_network_with_their_values(
    package: Package, program: Programs, photo: Photo
) -> None:
    executed = COREML.open_session(package(PALETTIZED)).run(*photo)
    assert difference(executed, in_torch(program(PALETTIZED).module(), photo)) < 0.02


def test_palettes_hold_the_programs_weights(package: Package, program: Programs) -> None:
    steps = load_program(read_package(package(PALETTIZED))).steps
    packed = [step for step in steps if step.kind == "constexpr_lut_to_dense"]
    assert {step.tensors["lut"].shape[-2] for step in packed} == {2**4, 2**6}
    stored = {compute(step, {}).numpy().tobytes() for step in packed}
    state = program(PALETTIZED).state_dict
    weights = {value.half().numpy().tobytes() for value in state.values() if value.dim() > 1}
    assert len(packed) > 20
    assert stored <= weights


def test_palettized_packages_say_that_they_need_ios_18(package: Package) -> None:
    path = package(PALETTIZED)
    # Specification 9 is iOS 18 (coremltools, `Model.proto`).
    assert read_package(path).model.specificationVersion == 9
    assert COREML.minimum_runtime(COREML.read_metadata(path)) == "iOS18"


def test_lowering_leaves_the_program_as_it_was(package: Package, program: Programs) -> None:
    package("fp16")
    package("int8-weights")
    halves = [t.dtype for t in program("fp16").state_dict.values() if t.dtype == torch.float16]
    assert halves
    assert any("quantize_per_tensor" in str(n.target) for n in program("int8").graph.nodes)


@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_a_package_says_what_it_takes_and_gives(package: Package, precision: PrecisionName) -> None:
    path = package(precision)
    assert COREML.read_metadata(path) == metadata_of(SMALL, precision)
    description = read_package(path).model.description
    image, *others = description.input
    assert image.name == "image"
    assert (image.type.imageType.width, image.type.imageType.height) == (128, 128)
    assert image.type.imageType.ColorSpace.Name(image.type.imageType.colorSpace) == "RGB"
    assert [feature.name for feature in others] == ["prompt_maps", "point_coords", "point_labels"]
    assert [f.name for f in description.output] == ["low_res_masks", "iou_predictions"]
    for feature in (*others, *description.output):
        kind = feature.type.multiArrayType
        assert kind.ArrayDataType.Name(kind.dataType) == "FLOAT32"
    assert all(f.shortDescription for f in (*description.input, *description.output))
    assert description.metadata.author
    assert description.metadata.versionString
    # Specification 8 is iOS 17 (coremltools, `Model.proto`).
    assert read_package(path).model.specificationVersion == 8
    assert COREML.minimum_runtime(COREML.read_metadata(path)) == "iOS17"


def all_bytes(package: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(package)): file.read_bytes()
        for file in package.rglob("*")
        if file.is_file()
    }


def test_the_same_program_gives_the_same_bytes_without_local_paths(
    package: Package, program: Programs, tmp_path: Path
) -> None:
    """With palettes; `test_chain.py` holds it of int8 and of float16 weights."""
    again = tmp_path / "elsewhere" / "other-name.mlpackage"
    again.parent.mkdir()
    COREML.lower(program(PALETTIZED), metadata_of(SMALL, PALETTIZED), again)
    first = all_bytes(package(PALETTIZED))
    assert first == all_bytes(again)
    assert sorted(first) == [
        "Data/com.apple.CoreML/model.mlmodel",
        "Data/com.apple.CoreML/weights/weight.bin",
        "Manifest.json",
    ]
    for content in first.values():
        assert str(Path.home()).encode() not in content
        assert str(Path(sqsam_deploy.__file__).parents[1]).encode() not in content
        assert str(tmp_path).encode() not in content
        assert date.today().isoformat().encode() not in content


def test_the_deployment_target_reaches_the_package(
    program: Programs, package: Package, photo: Photo, tmp_path: Path
) -> None:
    path = tmp_path / "older.mlpackage"
    metadata = metadata_of(SMALL, "fp16").model_copy(update={"deployment_target": "iOS15"})
    COREML.lower(program("fp16"), metadata, path)
    # Specification 6 is iOS 15 (coremltools, `Model.proto`).
    assert read_package(path).model.specificationVersion == 6
    assert COREML.minimum_runtime(COREML.read_metadata(path)) == "iOS15"
    newer = COREML.open_session(package("fp16")).run(*photo)
    assert difference(COREML.open_session(path).run(*photo), newer) == 0


def test_fewer_bits_make_smaller_packages(package: Package) -> None:
    shares = {"fp32": 1.0, "int8-weights": 0.3, "palettized-4bit": 0.18}
    sizes = {p: sum(map(len, all_bytes(package(p)).values())) for p in shares}
    for precision, share in shares.items():
        assert sizes[precision] <= share * sizes["fp32"]


#: The other structure, and a mask product too wide for the Neural Engine; in few levels.
OTHERS = (
    dataclasses.replace(RELEASE_2023_12, image_size=32, widths=(16, 24, 32, 48)),
    dataclasses.replace(PAPER, widths=(8, 16, 32, 32, 64)),
)


@pytest.mark.parametrize("config", OTHERS, ids=lambda config: config.name)
def test_every_structure_converts_and_executes(config: ModelConfig, tmp_path: Path) -> None:
    folded = tiny_folded(config)
    path = tmp_path / "other.mlpackage"
    COREML.lower(export_fp32(folded), metadata_of(config, "fp32"), path)
    photo = real_photo(config)
    executed = COREML.open_session(path).run(*photo)
    inputs: tuple[Tensor, ...] = network_inputs(*photo, config)
    with torch.inference_mode():
        masks, iou = folded.network(*inputs)
    assert difference(executed, RawPrediction(masks[0].numpy(), iou[0].numpy())) < 1e-5

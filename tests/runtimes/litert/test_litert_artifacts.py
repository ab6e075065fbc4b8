"""`.tflite` files: written, read back, executed. Skipped without the extra `litert`."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from sqsam_deploy.artifact.metadata import (
    ArtifactMetadata,
    InputLayout,
    PrecisionName,
    arrange_inputs,
)
from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.model.description import default_inputs, describe
from sqsam_deploy.prompts import EncodedPrompt
from sqsam_deploy.quantization import export_fp16, export_fp32
from sqsam_deploy.runtimes.litert import RUNTIME as LITERT
from tests.runtimes.litert.tflite_parameters import (
    activation_scales_of_tflite,
    of_tflite,
    operators_of_tflite,
)
from tests.runtimes.quantized_parameters import (
    activation_scales_of_program,
    of_program,
    scales_by_weight,
)
from tests.tiny_network import TINY, snr_db, tiny_calibration, tiny_folded, tiny_quantized

pytest.importorskip("litert_torch", reason="the extra litert is not installed")
schema = pytest.importorskip("ai_edge_litert.schema_py_generated")


def _metadata(precision: PrecisionName, layout: InputLayout = "nchw-float32") -> ArtifactMetadata:
    return describe(
        TINY,
        runtime="litert",
        precision=precision,
        weights_sha256="0" * 64,
        inputs=arrange_inputs(default_inputs(TINY), layout),
    )


def _lowered(precision: PrecisionName, layout: InputLayout, path: Path) -> Path:
    if precision == "int8":
        program = tiny_quantized().program
    else:
        program = (export_fp16 if precision == "fp16" else export_fp32)(tiny_folded())
    LITERT.lower(program, _metadata(precision, layout), path)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("tflite")


@pytest.fixture(scope="module")
def pixels(folder: Path) -> Path:
    return _lowered("int8", "nhwc-int8", folder / "pixels.tflite")


@pytest.fixture(scope="module")
def halves(folder: Path) -> Path:
    return _lowered("fp16", "nchw-float32", folder / "halves.tflite")


def _agrees(path: Path, limit: float, network: nn.Module | None = None) -> None:
    sample = next(iter(tiny_calibration()))
    image, maps, coords, labels = (value.numpy()[0] for value in sample)
    prompt = EncodedPrompt(maps.astype(np.uint8), coords, labels)
    square = image.transpose(1, 2, 0).astype(np.uint8)
    found = LITERT.open_session(path, threads=1).run(square, prompt)
    with torch.no_grad():
        masks, iou = (network or tiny_folded().network)(*sample)
    assert snr_db(masks[0], torch.from_numpy(found.low_res_masks)) > limit
    assert snr_db(iou[0], torch.from_numpy(found.iou_predictions)) > limit


def test_int8_agrees_with_the_float_network(pixels: Path) -> None:
    # As the program itself, which has 39.8 dB here.
    _agrees(pixels, 37.0)


def test_int8_computes_what_the_program_computes(pixels: Path) -> None:
    # 62 dB; a kernel that rounds a value to the other side costs some of them.
    _agrees(pixels, 45.0, tiny_quantized().program.module())


def test_nothing_is_quantized_twice(pixels: Path) -> None:
    operators, kinds = operators_of_tflite(pixels)
    quantized = [kinds[inputs[0]] for name, inputs in operators if name == "QUANTIZE"]
    assert quantized
    assert np.int8 not in quantized


def test_single_precision_agrees(folder: Path) -> None:
    _agrees(_lowered("fp32", "nchw-float32", folder / "single.tflite"), 100.0)


def test_half_precision_agrees(halves: Path) -> None:
    _agrees(halves, 45.0)


def test_half_precision_stores_halves_and_says_that_it_may_be_computed_in_them(
    halves: Path,
) -> None:
    model = schema.Model.GetRootAs(halves.read_bytes())
    graph = model.Subgraphs(0)
    sizes = dict.fromkeys((schema.TensorType.FLOAT16, schema.TensorType.FLOAT32), 0)
    for tensor in map(graph.Tensors, range(graph.TensorsLength())):
        if tensor.Type() in sizes:
            sizes[tensor.Type()] += model.Buffers(tensor.Buffer()).DataLength()
    assert sizes[schema.TensorType.FLOAT16] > 10 * sizes[schema.TensorType.FLOAT32]
    names = [model.Metadata(i).Name() for i in range(model.MetadataLength())]
    assert b"reduced_precision_support" in names


def test_weights_and_scales_are_those_of_the_program(pixels: Path) -> None:
    expected = scales_by_weight(of_program(tiny_quantized().program))
    actual = scales_by_weight(of_tflite(pixels))
    assert actual.keys() == expected.keys()
    for weight, scales in expected.items():
        np.testing.assert_array_equal(actual[weight], scales)


def test_activation_scales_are_those_of_the_program(pixels: Path) -> None:
    program = activation_scales_of_program(tiny_quantized().program)
    assert activation_scales_of_tflite(pixels) == program


def test_xnnpack_takes_the_whole_network(pixels: Path) -> None:
    groups = {group.title: group for group in LITERT.inspect(pixels).operators}
    assert groups["outside the delegate"].total == 0
    assert groups["calls of the delegate"].total == 1
    int8 = {item.name: item.count for item in groups["inside, int8"].operators}
    float_names = {item.name for item in groups["inside, float"].operators}
    assert int8["CONV_2D"] > 0
    assert "CONV_2D" not in float_names


def test_every_byte_is_accounted_for(pixels: Path) -> None:
    parts = LITERT.inspect(pixels).parts
    assert sum(part.bytes for part in parts) == pixels.stat().st_size
    assert all(part.bytes > 0 for part in parts)
    weights = sum(part.bytes for part in parts if part.name.endswith("int8"))
    assert weights == sum(p.values.size for p in of_program(tiny_quantized().program))


def test_metadata_travels_inside(pixels: Path) -> None:
    assert LITERT.read_metadata(pixels) == _metadata("int8", "nhwc-int8")


def test_inputs_and_outputs_are_those_of_the_metadata(pixels: Path) -> None:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(pixels))
    runner = interpreter.get_signature_runner()
    metadata = _metadata("int8", "nhwc-int8")
    for specs, details in (
        (metadata.inputs, runner.get_input_details()),
        (metadata.outputs, runner.get_output_details()),
    ):
        assert {spec.name: (spec.shape, spec.dtype) for spec in specs} == {
            name: (tuple(tensor["shape"].tolist()), np.dtype(tensor["dtype"]).name)
            for name, tensor in details.items()
        }


def test_the_file_needs_no_later_runtime_than_the_manifest_says(pixels: Path) -> None:
    model = schema.Model.GetRootAs(pixels.read_bytes())
    stored = {m.Name(): m.Buffer() for m in map(model.Metadata, range(model.MetadataLength()))}
    lowest = model.Buffers(stored[b"min_runtime_version"]).DataAsNumpy().tobytes()
    needed = tuple(map(int, lowest.rstrip(b"\0").decode().split(".")[:2]))
    stated = LITERT.minimum_runtime(_metadata("int8")).rpartition(" ")[2]
    assert needed <= tuple(map(int, stated.split(".")))


def test_the_same_program_gives_the_same_bytes(pixels: Path, tmp_path: Path) -> None:
    again = _lowered("int8", "nhwc-int8", tmp_path / "again.tflite")
    assert again.read_bytes() == pixels.read_bytes()


def test_no_local_path_is_in_the_file(pixels: Path) -> None:
    content = pixels.read_bytes()
    assert b"site-packages" not in content
    assert str(Path.cwd()).encode() not in content
    assert b".py" not in content


@pytest.mark.parametrize("keep", [0, 3, 30, 1000, -1])
def test_a_file_that_is_cut_short_is_refused(pixels: Path, keep: int, tmp_path: Path) -> None:
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(pixels.read_bytes()[:keep])
    with pytest.raises(ArtifactError, match=r"cut\.tflite"):
        LITERT.open_session(cut)


def test_foreign_and_missing_files_are_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "photo.tflite"
    foreign.write_bytes(b"\x89PNG\r\n\x1a\n" * 100)
    for path in (foreign, tmp_path / "missing.tflite"):
        with pytest.raises(ArtifactError, match=path.name):
            LITERT.open_session(path)


def test_a_file_of_another_tool_is_refused(pixels: Path, tmp_path: Path) -> None:
    foreign = tmp_path / "foreign.tflite"
    foreign.write_bytes(pixels.read_bytes().replace(b"sqsam\0", b"other\0"))
    with pytest.raises(ArtifactError, match=r"foreign\.tflite has no 'sqsam' metadata"):
        LITERT.read_metadata(foreign)

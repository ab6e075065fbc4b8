import dataclasses
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import pytest
import torch

from sqsam_deploy.artifact.metadata import ArtifactMetadata, PrecisionName, TensorSpec
from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.model.config import RELEASE_2023_12, ModelConfig
from sqsam_deploy.model.description import describe
from sqsam_deploy.quantization import export_fp16
from sqsam_deploy.runtimes.onnx import RUNTIME as ONNX
from sqsam_deploy.runtimes.onnx.session import session_options
from tests.runtimes.onnx.passes.graphs import operators, optimized
from tests.runtimes.quantized_parameters import (
    activation_scales_of_onnx,
    activation_scales_of_program,
    of_onnx,
    of_program,
    scales_by_weight,
)
from tests.tiny_network import TINY, snr_db, tiny_calibration, tiny_folded, tiny_program

pytestmark = pytest.mark.usefixtures("traced_leanly")


def _metadata(precision: PrecisionName) -> ArtifactMetadata:
    return describe(TINY, runtime="onnx", precision=precision, weights_sha256="1" * 64)


@pytest.fixture(scope="module")
def int8_onnx(tiny_artifact: Callable[[str], Path]) -> Path:
    return tiny_artifact("tiny-int8.onnx")


def _agrees(path: Path, limit: float, config: ModelConfig = TINY) -> None:
    sample = next(iter(tiny_calibration(config)))
    session = ONNX.open_session(path, threads=1)
    names = [spec.name for spec in session.metadata.inputs]
    outputs = session.execute({n: v.numpy() for n, v in zip(names, sample, strict=True)})
    expected = tiny_folded(config).network(*sample)
    for spec, value in zip(session.metadata.outputs, expected, strict=True):
        assert snr_db(value, torch.from_numpy(outputs[spec.name])) > limit


def test_int8_agrees_with_the_float_network(int8_onnx: Path) -> None:
    _agrees(int8_onnx, 35.0)


def test_nodes_have_the_paths_of_their_modules(int8_onnx: Path) -> None:
    graph = onnx.load(int8_onnx).graph
    names = [node.name for node in graph.node]
    assert len(set(names)) == len(names)
    modules = {name for name, _ in tiny_folded().network.named_modules() if name}
    assert {name.rpartition("/")[0] for name in names} <= {*modules, ""}
    # Every convolution is where the network has one, and reads the weight of that module.
    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    by_output = {output: node for node in graph.node for output in node.output}
    for node in convolutions:
        module = node.name.rpartition("/")[0]
        weight = by_output[node.input[1]].input[0]
        assert weight.startswith(f"{module}.weight")
    assert len(convolutions) > 10
    expected = "encoder.levels.0.conv.0.conv/Conv"
    assert expected in names


@pytest.fixture(scope="module")
def fp16_onnx(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("half") / "tiny-fp16.onnx"
    ONNX.lower(tiny_program("fp16"), _metadata("fp16"), path)
    return path


def test_float_artifacts_agree(tiny_artifact: Callable[[str], Path], fp16_onnx: Path) -> None:
    _agrees(tiny_artifact("tiny-fp32.onnx"), 100.0)
    _agrees(fp16_onnx, 45.0)


def test_a_network_with_group_norms_agrees_in_half_precision(tmp_path: Path) -> None:
    config = dataclasses.replace(RELEASE_2023_12, image_size=32, widths=(16, 24, 32, 48))
    path = tmp_path / "release-fp16.onnx"
    metadata = describe(config, runtime="onnx", precision="fp16", weights_sha256="1" * 64)
    ONNX.lower(export_fp16(tiny_folded(config)), metadata, path)
    _agrees(path, 45.0, config)


def test_no_relu_of_half_precision_is_computed_by_its_definition(
    fp16_onnx: Path, tmp_path: Path
) -> None:
    model = ir.load(fp16_onnx)
    assert operators(model)["Relu"] > 10
    assert "Max" not in optimized(model, str(tmp_path))


def test_the_same_program_gives_the_same_bytes(fp16_onnx: Path, tmp_path: Path) -> None:
    ONNX.lower(tiny_program("fp16"), _metadata("fp16"), tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == fp16_onnx.read_bytes()


def test_metadata_travels_inside(int8_onnx: Path) -> None:
    assert ONNX.read_metadata(int8_onnx) == _metadata("int8")


def test_inputs_and_outputs_have_sams_names_and_fixed_shapes(int8_onnx: Path) -> None:
    graph = onnx.load(int8_onnx).graph
    shapes = {
        value.name: [axis.dim_value for axis in value.type.tensor_type.shape.dim]
        for value in (*graph.input, *graph.output)
    }
    assert shapes == {
        "image": [1, 3, 32, 32],
        "prompt_maps": [1, 2, 32, 32],
        "point_coords": [1, 8, 2],
        "point_labels": [1, 8],
        "low_res_masks": [1, 4, 16, 16],
        "iou_predictions": [1, 4],
    }


def test_an_artifact_that_declares_pixels_takes_one_byte_tensor(tmp_path: Path) -> None:
    metadata = _metadata("int8")
    pixels = TensorSpec(name="pixels", dtype="uint8", shape=(1, 32, 32, 5), layout="NHWC")
    declared = metadata.model_copy(update={"inputs": (pixels, *metadata.inputs[2:])})
    ONNX.lower(tiny_program("int8"), declared, tmp_path / "pixels.onnx")
    inputs = onnx.load(tmp_path / "pixels.onnx").graph.input
    assert [value.name for value in inputs] == ["pixels", "point_coords", "point_labels"]
    pixels_type = inputs[0].type.tensor_type
    assert pixels_type.elem_type == onnx.TensorProto.UINT8
    assert tuple(axis.dim_value for axis in pixels_type.shape.dim) == (1, 32, 32, 5)


@pytest.mark.parametrize(("saturates", "entry"), [(True, "1"), (False, "0")])
def test_products_are_exact_on_every_processor(
    saturates: bool, entry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # onnxruntime_session_options_config_keys.h: "use slower U8U8 matrix multiplications". No
    # machine is both kinds of processor, so what is found out about it is replaced.
    monkeypatch.setattr("sqsam_deploy.runtimes.onnx.session.this_one_saturates", lambda: saturates)
    options = session_options(threads=1)
    assert options.get_session_config_entry("session.x64quantprecision") == entry


def test_the_operator_set_is_at_least_18(int8_onnx: Path) -> None:
    opsets = {entry.domain: entry.version for entry in onnx.load(int8_onnx).opset_import}
    assert opsets[""] >= 18


def test_weights_and_scales_are_those_of_the_program(int8_onnx: Path) -> None:
    expected = scales_by_weight(of_program(tiny_program("int8")))
    actual = scales_by_weight(of_onnx(int8_onnx))
    assert actual.keys() == expected.keys()
    for weight, scales in expected.items():
        np.testing.assert_array_equal(actual[weight], scales)
    assert activation_scales_of_onnx(int8_onnx) == activation_scales_of_program(
        tiny_program("int8")
    )


def test_no_local_path_is_in_the_file(int8_onnx: Path) -> None:
    content = int8_onnx.read_bytes()
    assert b"site-packages" not in content
    assert str(Path.cwd()).encode() not in content
    assert b".py" not in content


@pytest.mark.parametrize("keep", [0, 3, 1000, -1])
def test_a_file_that_is_cut_short_is_refused(int8_onnx: Path, keep: int, tmp_path: Path) -> None:
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(int8_onnx.read_bytes()[:keep])
    for read in (ONNX.read_metadata, ONNX.open_session):
        with pytest.raises(ArtifactError, match=r"cut\.onnx (is damaged|has no 'sqsam')"):
            read(cut)


def test_foreign_and_missing_files_are_refused(tmp_path: Path) -> None:
    foreign = tmp_path / "photo.onnx"
    foreign.write_bytes(b"\x89PNG\r\n\x1a\n" * 100)
    with pytest.raises(ArtifactError, match="is damaged or no ONNX file"):
        ONNX.open_session(foreign)
    with pytest.raises(ArtifactError, match="does not exist"):
        ONNX.open_session(tmp_path / "missing.onnx")


def test_a_graph_that_onnx_runtime_refuses_is_named(int8_onnx: Path, tmp_path: Path) -> None:
    model = onnx.load(int8_onnx)
    model.graph.node[0].op_type = "NoSuchOperator"
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(model.SerializeToString())
    with pytest.raises(ArtifactError, match=r"broken\.onnx cannot be loaded by ONNX Runtime"):
        ONNX.open_session(broken)

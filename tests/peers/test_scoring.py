"""`sqsam-parity --peer`: the same prompts and tables as this project's artifacts."""

import json
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnxruntime.quantization import QuantType, quantize_dynamic

from sqsam_deploy.checkpoint.bundled import weights_file
from sqsam_deploy.errors import ArtifactError, UsageError
from sqsam_deploy.peers import parse_peer, read_peer
from tests.commands import run_command
from tests.peers.exported import FORMS, edge_sam, sam


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return sam(tmp_path_factory.mktemp("float"))


@pytest.fixture(scope="module")
def quantized(pair, tmp_path_factory):
    """The pair with a product behind its encoder that was quantized."""
    folder = tmp_path_factory.mktemp("int8")
    model = onnx.load(pair[0])
    weight = onnx.numpy_helper.from_array(np.eye(16, dtype=np.float32), "identity")
    model.graph.initializer.append(weight)
    model.graph.node[-1].output[0] = "exact"
    model.graph.node.append(
        onnx.helper.make_node("MatMul", ["exact", "identity"], ["image_embeddings"])
    )
    onnx.save(model, folder / "float.onnx")
    quantize_dynamic(folder / "float.onnx", folder / "encoder.onnx", weight_type=QuantType.QUInt8)
    return [folder / "encoder.onnx", pair[1]]


def _parity(*arguments):
    return run_command("parity", "--jobs", 1, "--count", 3, *arguments)


def _option(name, files):
    return f"--peer={name}=" + "+".join(map(str, files))


def test_a_peer_alone_is_scored(pair, tmp_path):
    kinds = "box,1-click,3-clicks"
    done = _parity(_option("Known", pair), "--score", "--prompts", kinds, "-o", tmp_path)
    assert done.code == 0, done.stderr
    report = json.loads((tmp_path / "parity.json").read_text())
    (name,) = report["artifacts"]
    assert name == "Known fp32"
    assert {row["kind"] for row in report["artifacts"][name]["miou"]} == {
        "box",
        "1-click",
        "3-clicks",
    }
    # The paper's rows, and the peer's among them.
    page = (tmp_path / "parity.md").read_text()
    assert page.index("Table 2") < page.rindex("Known fp32")


def test_float_and_int8_files_of_a_peer_are_compared(pair, quantized, tmp_path):
    done = _parity(
        _option("Known", pair), _option("Known", quantized), "--prompts", "box", "-o", tmp_path
    )
    assert done.code in (0, 3), done.stderr
    report = json.loads((tmp_path / "parity.json").read_text())
    assert list(report["artifacts"]) == ["Known fp32", "Known int8"]
    assert report["artifacts"]["Known int8"]["reference"] == "Known fp32"
    assert report["artifacts"]["Known int8"]["agreement"]["mean"] > 0.9


def test_peers_stand_beside_checkpoints_of_this_project(pair, tmp_path):
    folder = tmp_path / "artifacts"
    folder.mkdir()
    shutil.copy(weights_file(Path("nano")), folder / "nano.safetensors")
    done = _parity(folder, _option("Known", pair), "--score", "--prompts", "1-click")
    assert done.code == 0, done.stderr
    report = json.loads((folder / "parity.json").read_text())
    assert list(report["artifacts"]) == ["nano.safetensors", "Known fp32"]


def test_one_file_cannot_be_compared(pair, tmp_path):
    done = _parity(_option("Known", pair), "-o", tmp_path)
    assert done.code == 2
    assert "--score" in done.stderr


def test_two_files_of_one_name_and_precision_are_refused(pair, tmp_path):
    done = _parity(_option("Known", pair), _option("Known", edge_sam(tmp_path)), "-o", tmp_path)
    assert done.code == 2
    assert "Known fp32" in done.stderr


def test_files_that_answer_in_two_forms_are_not_compared(quantized, tmp_path):
    other = FORMS["samexporter"](tmp_path)
    done = _parity(_option("Known", quantized), _option("Known", other), "-o", tmp_path / "report")
    assert done.code == 3
    assert "Known int8" in done.stderr


@pytest.mark.parametrize("text", ["a.onnx+b.onnx", "X=", "=a.onnx", "X=a+b+c", "X=a.onnx+"])
def test_a_peer_needs_a_name_and_one_or_two_files(text):
    with pytest.raises(UsageError, match="--peer"):
        parse_peer(text)


def test_a_peer_with_a_presets_name_is_refused(pair, tmp_path):
    done = _parity(_option("paper", pair), "-o", tmp_path)
    assert done.code == 2
    assert "paper" in done.stderr


def test_without_a_directory_the_report_needs_a_place(pair):
    done = _parity(_option("Known", pair))
    assert done.code == 2
    assert "--output" in done.stderr
    assert _parity().code == 2


def test_files_in_the_wrong_order_are_told_apart(pair):
    with pytest.raises(ArtifactError, match=r"encoder\.onnx is not a decoder"):
        read_peer("Known", pair[::-1])


def test_an_encoder_alone_asks_for_its_decoder(pair):
    with pytest.raises(ArtifactError, match="decoder"):
        read_peer("Known", pair[:1])


def test_weights_beside_the_file_belong_to_its_content(pair, tmp_path):
    model = onnx.load(pair[0])
    model.graph.initializer.append(
        onnx.numpy_helper.from_array(np.ones(4096, np.float32), "weights")
    )
    path = tmp_path / "encoder.onnx"
    onnx.save(model, path, save_as_external_data=True, location="encoder.data", size_threshold=16)
    before = read_peer("Known", [path, pair[1]])
    (tmp_path / "encoder.data").write_bytes(bytes(4096 * 4))
    assert read_peer("Known", [path, pair[1]]).weights_sha256 != before.weights_sha256
    (tmp_path / "encoder.data").unlink()
    with pytest.raises(ArtifactError, match=r"encoder\.data"):
        read_peer("Known", [path, pair[1]])

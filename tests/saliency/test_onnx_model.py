import json
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import pytest

from sqsam_deploy.errors import ArtifactError, UsageError
from sqsam_deploy.saliency import open_saliency
from sqsam_deploy.saliency.onnx_model import OnnxSaliency, OnnxSaliencyFormat

U2NET_MEAN = np.array([0.485, 0.456, 0.406])
U2NET_STD = np.array([0.229, 0.224, 0.225])


def write_network(
    path: Path, *, size: str = "32,48", channels: int = 3, dtype: str = "float"
) -> Path:
    """A network that returns the mean of the channels first, and its negative second."""
    one = f"{dtype}[1,1,{size}]"
    text = f"""
        <ir_version: 9, opset_import: ["" : 18]>
        mean ({dtype}[1,{channels},{size}] img) => ({one} d0, {one} d1) <int64[1] axes = {{1}}> {{
            d0 = ReduceMean <keepdims = 1> (img, axes)
            d1 = Neg (d0)
        }}"""
    onnx.save(onnx.parser.parse_model(text), path)
    return path


@pytest.fixture
def photo() -> np.ndarray:
    return np.random.default_rng(5).integers(0, 256, (32, 48, 3), np.uint8)


def test_a_file_without_declaration_is_fed_as_u2net_and_stretched_to_0_1(tmp_path, photo):
    saliency = open_saliency(write_network(tmp_path / "u2netp.onnx")).saliency_map(photo)
    mean = ((photo / 255 - U2NET_MEAN) / U2NET_STD).mean(axis=2)
    expected = (mean - mean.min()) / (mean.max() - mean.min())
    assert saliency.shape == (32, 48)
    assert np.abs(saliency - expected).max() <= 0.5 / 255 + 1e-4
    assert (saliency.min(), saliency.max()) == (0, 1)


def test_heat_comes_in_steps_of_an_8_bit_picture(tmp_path, photo):
    saliency = open_saliency(write_network(tmp_path / "net.onnx")).saliency_map(photo)
    np.testing.assert_allclose(saliency * 255, np.rint(saliency * 255), atol=1e-4)


def test_a_declaration_beside_the_file_is_followed(tmp_path, photo):
    path = write_network(tmp_path / "isnet.onnx", size="h,w")
    declaration = {
        "input_size": [64, 40],
        "mean": [0.5, 0.5, 0.5],
        "std": [0.1, 0.1, 0.1],
        "output": "d1",
        "output_range": "logits",
    }
    path.with_suffix(".json").write_text(json.dumps(declaration))
    flat = np.full_like(photo, 102)  # 0.4: (0.4 - 0.5) / 0.1 = -1, negated 1.
    saliency = open_saliency(path).saliency_map(flat)
    assert saliency.shape == (64, 40)
    assert np.abs(saliency - 1 / (1 + np.exp(-1))).max() <= 0.5 / 255


def test_probabilities_are_taken_as_they_are(tmp_path, photo):
    stated = OnnxSaliencyFormat(mean=(0, 0, 0), std=(1, 1, 1), output_range="probability")
    saliency = OnnxSaliency(write_network(tmp_path / "p.onnx"), stated).saliency_map(photo)
    np.testing.assert_allclose(saliency, photo.mean(axis=2) / 255, atol=0.5 / 255 + 1e-6)


def test_half_precision_networks_are_fed_half_precision(tmp_path, photo):
    path = write_network(tmp_path / "half.onnx", dtype="float16")
    assert np.isfinite(open_saliency(path).saliency_map(photo)).all()


def test_a_photo_of_another_size_is_stretched_to_the_input(tmp_path):
    wide = np.zeros((10, 200, 3), np.uint8)
    wide[:, 100:] = 255
    saliency = open_saliency(write_network(tmp_path / "n.onnx")).saliency_map(wide)
    assert saliency[:, :20].max() == 0
    assert saliency[:, 28:].min() == 1


def test_a_flat_answer_is_no_division_by_zero(tmp_path, photo):
    saliency = open_saliency(write_network(tmp_path / "n.onnx")).saliency_map(np.zeros_like(photo))
    assert not saliency.any()


def test_an_undeclared_size_is_an_error_that_names_the_file_to_write(tmp_path):
    path = write_network(tmp_path / "free.onnx", size="h,w")
    with pytest.raises(UsageError, match=r"declare input_size in free\.json"):
        open_saliency(path)


def test_a_wrong_declaration_names_the_key(tmp_path):
    path = write_network(tmp_path / "net.onnx")
    path.with_suffix(".json").write_text('{"input_szie": [1, 2]}')
    with pytest.raises(UsageError, match="input_szie"):
        open_saliency(path)


def test_an_output_that_is_not_there_is_named(tmp_path):
    stated = OnnxSaliencyFormat(output="d9")
    with pytest.raises(UsageError, match="no output 'd9': it has d0, d1"):
        OnnxSaliency(write_network(tmp_path / "n.onnx"), stated)


def test_a_network_that_takes_no_rgb_image_is_refused(tmp_path):
    with pytest.raises(ArtifactError, match="takes 5 channels"):
        open_saliency(write_network(tmp_path / "n.onnx", channels=5))


def test_missing_and_damaged_files(tmp_path):
    with pytest.raises(ArtifactError, match="does not exist"):
        open_saliency(tmp_path / "nothing.onnx")
    (tmp_path / "bad.onnx").write_bytes(b"not onnx")
    with pytest.raises(ArtifactError, match="damaged"):
        open_saliency(tmp_path / "bad.onnx")

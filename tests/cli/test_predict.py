import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper
from PIL import Image
from typer import Typer
from typer.testing import CliRunner

from sqsam_deploy.checkpoint import save_checkpoint
from sqsam_deploy.cli.predict import predict
from sqsam_deploy.model.config import NANO
from sqsam_deploy.model.network import SqueezeSAM

app = Typer()
app.command()(predict)


@pytest.fixture(scope="module")
def weights(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("weights") / "nano.safetensors"
    save_checkpoint(SqueezeSAM(NANO).eval(), path, {})
    return path


@pytest.fixture
def photo(tmp_path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 90, (60, 80, 3), np.uint8)
    pixels[20:40, 50:70] = 250
    Image.fromarray(pixels).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.fixture
def brightness(tmp_path) -> Path:
    """A saliency network for which bright is salient."""
    image = helper.make_tensor_value_info("x", TensorProto.FLOAT, (1, 3, 30, 40))
    heat = helper.make_tensor_value_info("y", TensorProto.FLOAT, (1, 1, 30, 40))
    axes = helper.make_tensor("axes", TensorProto.INT64, (1,), [1])
    node = helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=1)
    graph = helper.make_graph([node], "brightness", [image], [heat], [axes])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(model, tmp_path / "brightness.onnx")
    return tmp_path / "brightness.onnx"


def run(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_a_click_gives_three_pictures_of_the_photos_size(weights, photo, tmp_path):
    result = run(weights, photo, "--click", "60,30", "-o", tmp_path / "out")
    assert result.exit_code == 0, result.output
    mask = np.asarray(Image.open(tmp_path / "out" / "photo-mask.png"))
    cutout = np.asarray(Image.open(tmp_path / "out" / "photo-cutout.png"))
    assert mask.shape == (60, 80)
    np.testing.assert_array_equal(cutout[..., 3], mask)
    np.testing.assert_array_equal(cutout[..., :3], np.asarray(Image.open(photo)))
    assert Image.open(tmp_path / "out" / "photo-overlay.png").size == (80, 60)


def test_auto_is_the_same_as_the_clicks_that_saliency_picks(weights, photo, brightness, tmp_path):
    auto = run(weights, photo, "--auto", "--saliency", brightness, "-o", tmp_path / "auto")
    assert auto.exit_code == 0, auto.output
    # The bright square is 50..69 x 20..39: its centre and those of its quarters.
    clicks = [(59.5, 29.5), (54.5, 24.5), (64.5, 24.5), (54.5, 34.5), (64.5, 34.5)]
    options = [part for x, y in clicks for part in ("--click", f"{x},{y}")]
    by_hand = run(weights, photo, *options, "-o", tmp_path / "hand")
    assert by_hand.output.splitlines()[0] == auto.output.splitlines()[0]
    pictures = [tmp_path / way / "photo-mask.png" for way in ("auto", "hand")]
    np.testing.assert_array_equal(*(np.asarray(Image.open(path)) for path in pictures))


def fails(*arguments: object) -> Exception:
    result = run(*arguments)
    assert result.exception is not None
    return result.exception


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--auto", "--box", "1,2,3,4"), "exclude each other"),
        (("--saliency", "x.onnx"), "--auto, which is not given"),
        (("--click", "1"), "--click takes 2 numbers"),
        (("--click", "900,5"), r"\(900, 5\) is outside the photo of 80x60"),
        (("--box", "5,5,5,9"), "x0 < x1"),
    ],
)
def test_wrong_usage_is_one_sentence(weights, photo, options, message):
    import re

    error = fails(weights, photo, *options)
    assert re.search(message, str(error))
    assert error.exit_code == 2


def test_a_photo_that_is_none_is_named(weights, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    error = fails(weights, tmp_path / "bad.jpg", "--auto")
    assert "bad.jpg cannot be read" in str(error)
    assert error.exit_code == 3


def test_three_paths_are_too_many(weights, photo):
    assert "got 3 paths" in str(fails(weights, photo, photo))


def test_help_needs_nothing_heavy():
    code = (
        "import sys, sqsam_deploy.cli.predict, sqsam_deploy.cli.demo; "
        "print([name for name in ('torch', 'numpy', 'starlette') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

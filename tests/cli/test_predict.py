from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sqsam_deploy.checkpoint import save_checkpoint
from sqsam_deploy.model.config import NANO
from sqsam_deploy.model.network import SqueezeSAM
from sqsam_deploy.predictor import Predictor
from sqsam_deploy.prompts import Prompt
from sqsam_deploy.runtimes import open_session
from tests.commands import Command, Done, run_command
from tests.saliency.test_onnx_model import write_network


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
    return write_network(tmp_path / "brightness.onnx", size="30,40")


@pytest.fixture
def run() -> Command:
    return partial(run_command, "predict")


def test_a_click_gives_three_pictures_of_the_photos_size(run, weights, photo, tmp_path):
    result = run(weights, photo, "--click", "60,30", "-o", tmp_path / "out")
    assert result.code == 0, result.stderr
    mask = np.asarray(Image.open(tmp_path / "out" / "photo-mask.png"))
    cutout = np.asarray(Image.open(tmp_path / "out" / "photo-cutout.png"))
    assert mask.shape == (60, 80)
    np.testing.assert_array_equal(cutout[..., 3], mask)
    np.testing.assert_array_equal(cutout[..., :3], np.asarray(Image.open(photo)))
    assert Image.open(tmp_path / "out" / "photo-overlay.png").size == (80, 60)


def test_auto_gives_clicks_and_box_and_shows_the_mask_most_like_the_salient_blob(
    run, weights, photo, brightness, tmp_path
):
    auto = run(weights, photo, "--auto", "--saliency", brightness, "-o", tmp_path)
    assert auto.code == 0, auto.stderr
    # The bright square is 50..69 x 20..39: its center, those of its quarters, and its box.
    clicks = [(59.5, 29.5), (54.5, 24.5), (64.5, 24.5), (54.5, 34.5), (64.5, 34.5)]
    predictor = Predictor(open_session(weights, 1))
    predictor.set_image(np.asarray(Image.open(photo)))
    offered = predictor.predict(clicks, [1] * 5, box=(50, 20, 70, 40)).masks
    square = np.zeros((60, 80), bool)
    square[20:40, 50:70] = True
    wanted = max(offered, key=lambda mask: (mask & square).sum() / (mask | square).sum())
    shown = np.asarray(Image.open(tmp_path / "photo-mask.png")) > 0
    np.testing.assert_array_equal(shown, wanted)


def test_clicks_beside_auto_are_added_to_those_that_saliency_picked(
    run, weights, photo, brightness, tmp_path
):
    clicks = [(59.5, 29.5), (54.5, 24.5), (64.5, 24.5), (54.5, 34.5), (64.5, 34.5), (5, 6)]
    options = [part for x, y in clicks for part in ("--click", f"{x},{y}")]
    by_hand = run(weights, photo, *options, "-o", tmp_path / "hand")
    auto = ("--auto", "--saliency", brightness, "--click", "5,6")
    started = run(weights, photo, *auto, "-o", tmp_path / "auto")
    assert by_hand.stdout.splitlines()[0] == started.stdout.splitlines()[0]
    pictures = [tmp_path / way / "photo-mask.png" for way in ("auto", "hand")]
    np.testing.assert_array_equal(*(np.asarray(Image.open(path)) for path in pictures))


def test_box_and_background_click_are_the_prompt(run, weights, photo, tmp_path):
    options = ("--click", "60,30", "--background-click", "5,6", "--background-click", "9,9")
    words = (*options, "--box", "40,10,75,45", "--threads", 1, "-o", tmp_path)
    assert run(weights, photo, *words).code == 0
    predictor = Predictor(open_session(weights, 1))
    predictor.set_image(np.asarray(Image.open(photo)))
    prompt = Prompt(box=(40, 10, 75, 45)).with_click(60, 30, 1)
    prompt = prompt.with_click(5, 6, 0).with_click(9, 9, 0)
    mask = predictor.predict_prompt(prompt, multimask_output=False).masks[0]
    assert mask.any()
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "photo-mask.png")) > 0, mask)


def test_the_three_pictures_are_written_together_or_not_at_all(run, weights, photo, tmp_path):
    (tmp_path / "out" / "photo-overlay.png").mkdir(parents=True)
    said = run(weights, photo, "--click", "60,30", "-o", tmp_path / "out")
    assert_one_sentence(said, 3, "photo-overlay.png")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["photo-overlay.png"]


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--auto", "--box", "1,2,3,4"), "--box"),
        (("--saliency", "x.onnx"), "--auto"),
        (("--click", "1"), "--click takes 2 numbers"),
        (("--click", "900,5"), "--click: (900, 5) is outside the photo of 80x60"),
        (("--background-click", "5,61"), "--background-click: (5, 61)"),
        (("--box", "5,5,90,9"), "--box: (90, 9)"),
        (("--box", "5,5,5,9"), "x0 < x1"),
        (("--box", "0.2,0.2,0.8,0.8"), "80x60"),
        (("--click", "0.5,0.5", "--auto"), "80x60"),
    ],
)
def test_wrong_usage_is_one_sentence(run, weights, photo, options, named):
    said = run(weights, photo, *options)
    assert_one_sentence(said, 2, named)


def assert_one_sentence(said: Done, code: int, named: str) -> None:
    assert said.code == code
    assert named in said.stderr
    assert said.stderr.startswith("error: ")
    assert said.stderr.count("\n") == 1


def test_a_photo_that_is_none_is_named(run, weights, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(b"no photo")
    assert_one_sentence(run(weights, tmp_path / "bad.jpg", "--auto"), 3, "bad.jpg")


def test_of_a_reduced_photo_clicks_are_in_the_pixels_of_the_file(
    run, weights, photo, tmp_path, monkeypatch
):
    """As a photo of 200 megapixels is; here the limit is small, so that the photo can be."""
    monkeypatch.setattr("sqsam_deploy.datasets.images.FULL_PIXELS", 2000)
    said = run(weights, photo, "--click", "60,50", "--box", "40,10,75,45", "-o", tmp_path)
    assert said.code == 0
    assert "40x30" in said.stderr
    predictor = Predictor(open_session(weights))
    predictor.set_image(np.asarray(Image.open(photo).reduce(2)))
    prompt = Prompt(box=(20, 5, 37.5, 22.5)).with_click(30, 25, 1)
    expected = predictor.predict_prompt(prompt, multimask_output=False).masks[0]
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "photo-mask.png")) > 0, expected)


@pytest.fixture
def folder(photo) -> Path:
    """Three photos, two of one stem and one deeper, and one that is damaged."""
    folder = photo.parent / "photos"
    (folder / "trip").mkdir(parents=True)
    for name in ("a.png", "a.jpg", "trip/a.png"):
        Image.open(photo).save(folder / name)
    return folder


def test_of_a_folder_every_photo_is_cut_out(run, weights, brightness, folder, photo, tmp_path):
    auto = ("--auto", "--saliency", brightness)
    said = run(weights, folder, *auto, "-o", folder / "out")
    assert said.code == 0, said.stderr
    assert len(said.stdout.splitlines()) == 4
    masks = {p.relative_to(folder / "out").as_posix() for p in folder.rglob("*-mask.png")}
    assert masks == {"a.jpg-mask.png", "a.png-mask.png", "trip/a-mask.png"}
    assert run(weights, photo, *auto, "-o", tmp_path).code == 0
    alone = (tmp_path / "photo-mask.png").read_bytes()
    assert (folder / "out" / "trip" / "a-mask.png").read_bytes() == alone
    again = run(weights, folder, *auto, "-o", folder / "out")
    assert again.stdout == said.stdout


def test_a_bad_photo_of_a_folder_is_counted_and_the_others_are_written(
    run, weights, folder, tmp_path
):
    (folder / "bad.jpg").write_bytes(b"no photo")
    said = run(weights, folder, "-o", tmp_path / "out")
    assert said.code == 3
    assert "1 of 4 photos" in said.stderr
    assert "bad.jpg" in said.stderr.splitlines()[-1]
    assert len(list((tmp_path / "out").rglob("*-overlay.png"))) == 3
    for path in folder.rglob("a.*"):
        path.write_bytes(b"no photo")
    said = run(weights, folder, "-o", tmp_path / "none")
    assert "4 of 4 photos" in said.stderr
    assert str(tmp_path / "none") not in said.stderr


def test_a_folder_takes_no_click_and_is_not_written_into(run, weights, folder, tmp_path):
    assert_one_sentence(run(weights, folder, "--click", "1,1", "-o", tmp_path / "x"), 2, "--click")
    assert_one_sentence(run(weights, folder, "--auto", "-o", folder), 2, "-o")
    (tmp_path / "none").mkdir()
    assert_one_sentence(run(weights, tmp_path / "none", "-o", tmp_path / "x"), 3, "no photo")


def test_three_paths_are_too_many(run, weights, photo):
    assert_one_sentence(run(weights, photo, photo), 2, "3 paths")

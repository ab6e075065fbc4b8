"""Pairs in every form that is read, against the answer that their graphs were made to give."""

import numpy as np
import pytest
from numpy.typing import NDArray

from sqsam_deploy.peers import open_peer, read_peer
from sqsam_deploy.prompts import Prompt
from tests.peers.exported import FORMS, RADIUS, SIZE

#: Taller than wide, and larger than the networks' square.
HEIGHT, WIDTH = 180, 150
#: Rows and columns of what is bright.
BRIGHT = np.s_[30:140, 50:120]


@pytest.fixture(scope="module", params=FORMS)
def form(request, tmp_path_factory):
    """Its name, and a segmenter that was opened from its files."""
    files = FORMS[request.param](tmp_path_factory.mktemp(request.param))
    return request.param, open_peer(read_peer("peer", files), threads=1)


@pytest.fixture(scope="module")
def photo() -> NDArray[np.uint8]:
    image = np.full((HEIGHT, WIDTH, 3), 20, np.uint8)
    image[BRIGHT] = 230
    return image


def answer(segmenter, photo, prompt: Prompt) -> NDArray[np.bool_]:
    """The first-ranked mask, as the evaluator takes it."""
    image_hw = photo.shape[:2]
    prediction = segmenter.run(segmenter.prepare(photo), segmenter.encode(prompt, image_hw))
    best = int(prediction.iou_predictions.argmax())
    return segmenter.mask(prediction, best, image_hw)


def disc(x: float, y: float, form_name: str) -> NDArray[np.bool_]:
    """Pixels of the photo within the radius of a click, which the network has in its square."""
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    stretched = "efficient" in form_name
    height, width = (HEIGHT, WIDTH) if stretched else (HEIGHT, HEIGHT)
    return ((columns - x) * SIZE / width) ** 2 + ((rows - y) * SIZE / height) ** 2 <= RADIUS**2


def bright() -> NDArray[np.bool_]:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    mask[BRIGHT] = True
    return mask


def iou(a: NDArray[np.bool_], b: NDArray[np.bool_]) -> float:
    return (a & b).sum() / (a | b).sum()


def test_a_box_is_answered_with_what_is_bright_in_it(form, photo):
    _, segmenter = form
    expected = bright()
    expected[:, :70] = False
    expected[110:] = False
    mask = answer(segmenter, photo, Prompt(box=(70, 10, 149, 110)))
    assert mask.shape == (HEIGHT, WIDTH)
    assert iou(mask, expected) > 0.9


def test_a_click_is_answered_with_what_is_bright_around_it(form, photo):
    name, segmenter = form
    prompt = Prompt(np.array([[60, 50]], np.float32), np.array([1]))
    assert iou(answer(segmenter, photo, prompt), bright() & disc(60, 50, name)) > 0.9


def test_two_clicks_are_both_heard(form, photo):
    name, segmenter = form
    prompt = Prompt(np.array([[60, 40], [100, 135]], np.float32), np.array([1, 1]))
    expected = bright() & (disc(60, 40, name) | disc(100, 135, name))
    assert iou(answer(segmenter, photo, prompt), expected) > 0.9


def test_a_background_click_is_heard_where_the_network_knows_any(form, photo):
    name, segmenter = form
    prompt = Prompt(np.array([[60, 50], [115, 100]], np.float32), np.array([1, 0]))
    refused = disc(115, 100, name) & ("efficient" not in name)
    expected = bright() & disc(60, 50, name) & ~refused
    assert iou(answer(segmenter, photo, prompt), expected) > 0.85


def test_a_box_and_a_click_are_one_prompt(form, photo):
    name, segmenter = form
    prompt = Prompt(np.array([[100, 130]], np.float32), np.array([1]), (50, 30, 80, 70))
    box = np.zeros((HEIGHT, WIDTH), bool)
    box[30:71, 50:81] = True
    expected = bright() & (box | disc(100, 130, name))
    assert iou(answer(segmenter, photo, prompt), expected) > 0.9


def test_the_encoder_runs_once_a_photo(form, photo):
    name, segmenter = form
    if name == "efficient_sam_whole":
        pytest.skip("one file has no encoder of its own")
    mine = photo.copy()
    prepared = segmenter.prepare(mine)
    mine[:] = 0  # an encoder that ran again would see nothing
    for x in (60, 70, 80):
        click = Prompt(np.array([[x, 50]], np.float32), np.array([1]))
        prompt = segmenter.encode(click, photo.shape[:2])
        before = segmenter.run(segmenter.prepare(photo), prompt).low_res_masks
        np.testing.assert_array_equal(segmenter.run(prepared, prompt).low_res_masks, before)


def test_more_clicks_than_efficient_sam_takes_keep_the_first_and_the_latest(tmp_path, photo):
    segmenter = open_peer(read_peer("peer", FORMS["efficient_sam"](tmp_path)), threads=1)
    coords = np.array([[60 + 5 * i, 40 + 10 * i] for i in range(9)], np.float32)
    points = segmenter.encode(Prompt(coords, np.ones(9, int)), photo.shape[:2])
    assert points.coords.tolist() == coords[[0, 4, 5, 6, 7, 8]].tolist()
    boxed = segmenter.encode(Prompt(coords, np.ones(9, int), (1, 2, 3, 4)), photo.shape[:2])
    assert boxed.labels.tolist() == [1, 1, 1, 1, 2, 3]

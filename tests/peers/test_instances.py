"""FastSAM's form: a graph that always finds the same, and the prompt that chooses among it."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.peers import open_peer, read_peer
from sqsam_deploy.peers.instances import box_ious, suppress
from sqsam_deploy.prompts import Prompt
from tests.peers.exported import export

SIZE = 256
#: A photo of 120 x 200 pixels is 153.6 x 256 in the square, 51 rows from its top.
HEIGHT, WIDTH = 120, 200
GAIN, TOP = SIZE / WIDTH, 51
#: What the network finds, in pixels of the photo: a large object, a part of it, another object.
LARGE, PART, OTHER = (20, 10, 120, 110), (40, 30, 100, 90), (140, 20, 190, 100)


def _row(box, confidence: float, prototype: int) -> Tensor:
    """Center and size in the square, one class, 32 coefficients."""
    x0, y0, x1, y1 = (GAIN * value for value in box)
    row = torch.zeros(5 + 32)
    row[:5] = torch.tensor([(x0 + x1) / 2, TOP + (y0 + y1) / 2, x1 - x0, y1 - y0, confidence])
    row[5 + prototype] = 4.0
    return row


class Finder(nn.Module):
    """Always the same instances; prototype 0 is everything, 1 is the left half of the square."""

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        left = (torch.arange(SIZE // 4) < SIZE // 8).float() * 2 - 1
        prototypes = torch.zeros(1, 32, SIZE // 4, SIZE // 4)
        prototypes[0, 0] = 1.0
        prototypes[0, 1] = left
        rows = [
            _row(LARGE, 0.9, 0),
            _row(PART, 0.8, 0),
            _row(OTHER, 0.7, 0),
            _row([value + 0.5 for value in OTHER], 0.6, 1),  # suppressed: the same but for a pixel
            _row((0, 0, WIDTH, HEIGHT), 0.3, 0),  # not sure enough
        ]
        rows += [torch.zeros(37)] * 40
        nothing = 0 * images.mean()
        return torch.stack(rows, 1)[None] + nothing, prototypes + nothing


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("fastsam") / "FastSAM-s.onnx"
    images = {"images": torch.rand(1, 3, SIZE, SIZE)}
    return export(Finder(), images, ["output0", "output1"], path)


@pytest.fixture(scope="module")
def ask(file):
    segmenter = open_peer(read_peer("FastSAM", [file]), threads=1)
    photo = segmenter.prepare(np.zeros((HEIGHT, WIDTH, 3), np.uint8))

    def asked(prompt: Prompt):
        found = segmenter.run(photo, segmenter.encode(prompt, (HEIGHT, WIDTH)))
        return segmenter.mask(found, 0, (HEIGHT, WIDTH)), float(found.iou_predictions[0])

    return asked


def filled(*boxes) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), bool)
    for x0, y0, x1, y1 in boxes:
        mask[y0:y1, x0:x1] = True
    return mask


def clicks(*points) -> Prompt:
    coords = np.array([point[:2] for point in points], np.float32)
    return Prompt(coords, np.array([point[2] for point in points]))


def close(mask: np.ndarray, expected: np.ndarray) -> bool:
    """Equal but for a pixel along the edges: the letterbox's rows are rounded."""
    return (mask & expected).sum() / (mask | expected).sum() > 0.95


def test_a_box_chooses_the_mask_that_fits_it_best(ask):
    mask, confidence = ask(Prompt(box=(38, 32, 102, 89)))
    assert close(mask, filled(PART))
    assert confidence == pytest.approx(0.8)


def test_a_click_chooses_every_mask_that_holds_it(ask):
    assert close(ask(clicks((60, 50, 1)))[0], filled(LARGE))
    assert close(ask(clicks((160, 50, 1)))[0], filled(OTHER))
    both, confidence = ask(clicks((110, 95, 1), (160, 50, 1)))
    assert close(both, filled(LARGE, OTHER))
    assert confidence == pytest.approx(0.9)


def test_a_background_click_takes_the_smaller_mask_out_of_the_larger(ask):
    mask, _ = ask(clicks((110, 95, 1), (60, 50, 0)))
    # The large mask holds both clicks, so it is drawn and taken away again: nothing is left.
    assert not mask.any()
    kept, _ = ask(clicks((160, 50, 1), (60, 50, 0)))
    assert close(kept, filled(OTHER))


def test_where_nothing_was_found_the_mask_is_empty(ask):
    mask, confidence = ask(clicks((130, 5, 1)))
    assert not mask.any()
    assert confidence == 0


def test_suppression_keeps_the_surest_of_each_class():
    boxes = np.array([[0, 0, 10, 10], [0, 0, 10, 9.5], [0, 0, 10, 5], [0, 0, 10, 10]], np.float32)
    assert box_ious(boxes[0], boxes).tolist() == pytest.approx([1, 0.95, 0.5, 1])
    assert suppress(boxes, np.array([0, 0, 0, 0])) == [0, 2]
    assert suppress(boxes, np.array([0, 0, 0, 1])) == [0, 2, 3]


def test_an_export_with_suppression_inside_is_refused(tmp_path):
    class Suppressed(nn.Module):
        def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
            nothing = 0 * images.mean()
            return torch.zeros(1, 300, 38) + nothing, torch.zeros(1, 32, 64, 64) + nothing

    images = {"images": torch.rand(1, 3, SIZE, SIZE)}
    path = export(Suppressed(), images, ["output0", "output1"], tmp_path / "nms.onnx")
    with pytest.raises(ArtifactError, match=r"nms\.onnx"):
        read_peer("FastSAM", [path])

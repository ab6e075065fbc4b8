import pytest
import torch
from torch import nn

from sqsam_deploy.benchmark.macs import count_work, preset_work


def test_work_of_a_convolution_by_hand():
    """64 -> 32 channels, 3x3, on 16x16: 16·16·32·64·9 products."""
    with torch.device("meta"):
        work = count_work(nn.Conv2d(64, 32, 3, padding=1), (torch.empty(1, 64, 16, 16),))
    weights = 32 * 64 * 9
    assert work.macs == 16 * 16 * weights
    assert work.parameters == weights + 32
    assert work.elements == 64 * 256 + weights + 32 + 32 * 256


def test_release_has_the_published_work():
    """26.26 GMAC and 10.159 M parameters were counted on the published checkpoint."""
    work = preset_work("release-2023-12")
    assert work.macs == pytest.approx(26.26e9, rel=1e-3)
    assert work.parameters == pytest.approx(10.159e6, rel=1e-4)


def test_paper_has_the_work_that_was_measured_elsewhere():
    assert preset_work("paper").macs == pytest.approx(26.5e9, rel=1e-3)


def test_saliency_is_counted_too():
    work = preset_work("saliency")
    assert work.parameters < 1e6
    # Its patch embedding alone: 3 -> 16 channels, 2x2, on 128x128.
    assert work.macs > 128 * 128 * 16 * 3 * 4
    assert preset_work("saliency", 3).macs == 3 * work.macs


def test_a_batch_multiplies_the_work_and_moves_the_weights_once():
    one, four = preset_work("nano"), preset_work("nano", 4)
    assert four.macs == 4 * one.macs
    assert four.parameters == one.parameters
    saved = (4 * one.elements - four.elements) / 3
    assert saved == pytest.approx(one.parameters, rel=0.01)

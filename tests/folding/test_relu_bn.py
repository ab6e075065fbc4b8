"""Each arrangement of readers on a map of 2x2 to 4x4 pixels, where nearly every pixel is border."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from sqsam_deploy.folding.channel_mix import concatenated, identity_mix
from sqsam_deploy.folding.flip import Flip
from sqsam_deploy.folding.pooling import pooled_mix
from sqsam_deploy.folding.relu_bn import (
    constant_level,
    fold_relu_bn,
    fold_relu_bn_with_constant,
)
from tests.folding.norms import harden, relative_difference

CHANNELS = 8


def _block(seed: int, in_channels: int = CHANNELS) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    torch.manual_seed(seed)
    conv, norm = nn.Conv2d(in_channels, CHANNELS, 3, padding=1), nn.BatchNorm2d(CHANNELS)
    harden(norm, seed)
    return conv, norm


def _true(block: tuple[nn.Conv2d, nn.BatchNorm2d], x: torch.Tensor) -> torch.Tensor:
    conv, norm = block
    return norm(F.relu(conv(x)))


def _recovered(mix, stored: torch.Tensor) -> torch.Tensor:
    true = torch.einsum("cd,bdhw->bchw", mix.matrix, stored.double())
    return (true + mix.shift.reshape(1, -1, 1, 1)).float()


@torch.no_grad()
def test_chain_of_padded_convolutions_is_exact_to_the_border() -> None:
    first, second = _block(0), _block(1)
    x = torch.randn(1, CHANNELS, 3, 3)
    conv, mix = fold_relu_bn_with_constant(*first, identity_mix(CHANNELS))
    second_conv, second_mix = fold_relu_bn(*second, mix)
    stored = F.relu(second_conv(F.relu(conv(x))))
    expected = _true(second, _true(first, x))
    assert relative_difference(_recovered(second_mix, stored), expected) < 1e-5


@torch.no_grad()
def test_naive_forward_folding_would_be_wrong_on_the_border() -> None:
    # Guards the test above: its inputs do tell exact from naive.
    first, second = _block(0), _block(1)
    x = torch.randn(1, CHANNELS, 3, 3)
    conv, mix = fold_relu_bn(*first, identity_mix(CHANNELS))
    second_conv, second_mix = fold_relu_bn(*second, mix)
    stored = F.relu(second_conv(F.relu(conv(x))))
    expected = _true(second, _true(first, x))
    assert relative_difference(_recovered(second_mix, stored), expected) > 1e-2


@torch.no_grad()
def test_pooling_between_is_exact_for_negative_scales() -> None:
    first, second = _block(2), _block(3)
    x = torch.randn(1, CHANNELS, 4, 4)
    conv, mix = fold_relu_bn_with_constant(*first, identity_mix(CHANNELS))
    flip, mix = pooled_mix(mix)
    second_conv, second_mix = fold_relu_bn(*second, mix)
    assert isinstance(flip, Flip)
    stored = F.relu(second_conv(F.max_pool2d(flip(F.relu(conv(x))), 2, 2)))
    expected = _true(second, F.max_pool2d(_true(first, x), 2, 2))
    assert relative_difference(_recovered(second_mix, stored), expected) < 1e-5


@torch.no_grad()
def test_pooling_needs_no_operator_where_all_scales_are_positive() -> None:
    conv, norm = _block(2)
    norm.weight.abs_()
    _, mix = fold_relu_bn_with_constant(conv, norm, identity_mix(CHANNELS))
    flip, _ = pooled_mix(mix)
    assert isinstance(flip, nn.Identity)


@torch.no_grad()
def test_concatenation_is_exact() -> None:
    first, other, reader = _block(4), _block(5), _block(6, in_channels=2 * CHANNELS)
    x = torch.randn(1, CHANNELS, 2, 2)
    first_conv, first_mix = fold_relu_bn_with_constant(*first, identity_mix(CHANNELS))
    other_conv, other_mix = fold_relu_bn_with_constant(*other, identity_mix(CHANNELS))
    conv, mix = fold_relu_bn(*reader, concatenated(first_mix, other_mix))
    stored = F.relu(conv(torch.cat([F.relu(first_conv(x)), F.relu(other_conv(x))], 1)))
    expected = _true(reader, torch.cat([_true(first, x), _true(other, x)], 1))
    assert relative_difference(_recovered(mix, stored), expected) < 1e-5


@torch.no_grad()
@pytest.mark.parametrize("scale", [0.0, 1e-6, 1.0, 1000.0])
def test_constant_is_a_power_of_two_below_the_peaks(scale: float) -> None:
    norm = nn.BatchNorm2d(2).eval()
    norm.weight.fill_(scale)
    norm.running_mean.fill_(1.0)
    level = constant_level(norm)
    assert torch.frexp(torch.tensor(level)).mantissa == 0.5
    # Statistics 1 +- 1, scaled: the peak is 7 times the scale, and the power of two within it.
    assert level == 1.0 if scale == 0 else 3.5 * scale < level <= 7 * scale

"""Each arrangement of readers on a map of 2x2 to 4x4 pixels, where nearly every pixel is border."""

import torch
from torch import nn
from torch.nn import functional as F

from sqsam_deploy.folding.channel_affine import ChannelAffine, concatenated, identity_mix
from sqsam_deploy.folding.channel_bias import explicit_bias
from sqsam_deploy.folding.pooling import pooled_mix
from sqsam_deploy.folding.relu_bn import fold_relu_bn
from sqsam_deploy.folding.sign_flip import SignFlip
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
    true = stored.double() * mix.sign.reshape(1, -1, 1, 1)
    return (true + mix.shift.reshape(1, -1, 1, 1)).float()


def _fold_for_padding(
    block: tuple[nn.Conv2d, nn.BatchNorm2d],
) -> tuple[nn.Module, ChannelAffine]:
    """What stores the block's map for a reader that pads."""
    conv, mix = fold_relu_bn(*block, identity_mix(CHANNELS))
    shift, mix = explicit_bias(mix)
    return nn.Sequential(conv, nn.ReLU(), shift), mix


@torch.no_grad()
def test_chain_of_padded_convolutions_is_exact_to_the_border() -> None:
    first, second = _block(0), _block(1)
    x = torch.randn(1, CHANNELS, 3, 3)
    folded, mix = _fold_for_padding(first)
    second_conv, second_mix = fold_relu_bn(*second, mix)
    stored = F.relu(second_conv(folded(x)))
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
    folded, mix = _fold_for_padding(first)
    flip, mix = pooled_mix(mix)
    second_conv, second_mix = fold_relu_bn(*second, mix)
    assert isinstance(flip, SignFlip)
    stored = F.relu(second_conv(F.max_pool2d(flip(folded(x)), 2, 2)))
    expected = _true(second, F.max_pool2d(_true(first, x), 2, 2))
    assert relative_difference(_recovered(second_mix, stored), expected) < 1e-5


@torch.no_grad()
def test_pooling_needs_no_operator_where_all_scales_are_positive() -> None:
    conv, norm = _block(2)
    norm.weight.abs_()
    _, mix = _fold_for_padding((conv, norm))
    flip, _ = pooled_mix(mix)
    assert isinstance(flip, nn.Identity)


@torch.no_grad()
def test_concatenation_is_exact() -> None:
    first, other, reader = _block(4), _block(5), _block(6, in_channels=2 * CHANNELS)
    x = torch.randn(1, CHANNELS, 2, 2)
    folded_first, first_mix = _fold_for_padding(first)
    folded_other, other_mix = _fold_for_padding(other)
    conv, mix = fold_relu_bn(*reader, concatenated(first_mix, other_mix))
    stored = F.relu(conv(torch.cat([folded_first(x), folded_other(x)], 1)))
    expected = _true(reader, torch.cat([_true(first, x), _true(other, x)], 1))
    assert relative_difference(_recovered(mix, stored), expected) < 1e-5


@torch.no_grad()
def test_a_scale_of_zero_leaves_the_shift() -> None:
    block, reader = _block(7), _block(8)
    block[1].weight[0] = 0.0
    x = torch.randn(1, CHANNELS, 3, 3)
    folded, mix = _fold_for_padding(block)
    conv, reader_mix = fold_relu_bn(*reader, mix)
    expected = _true(reader, _true(block, x))
    assert relative_difference(_recovered(reader_mix, F.relu(conv(folded(x)))), expected) < 1e-5

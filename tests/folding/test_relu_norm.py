"""Each arrangement of readers on a map of 2x2 to 4x4 pixels, where nearly every pixel is border."""

import torch
from torch import nn
from torch.nn import functional as F

from sqsam_deploy.folding.channel_affine import ChannelAffine, concatenated, identity_affine
from sqsam_deploy.folding.layers import SignFlip
from sqsam_deploy.folding.relu_norm import (
    explicit_bias,
    fold_linear_shuffle,
    fold_relu_bn,
    pooled,
)
from sqsam_deploy.model.blocks import LinearShuffleUp
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


def _recovered(affine, stored: torch.Tensor) -> torch.Tensor:
    true = stored.double() * affine.sign.reshape(1, -1, 1, 1)
    return (true + affine.shift.reshape(1, -1, 1, 1)).float()


def _fold_for_padding(
    block: tuple[nn.Conv2d, nn.BatchNorm2d],
) -> tuple[nn.Module, ChannelAffine]:
    """The layers that store the block's map for a reader that pads."""
    conv, affine = fold_relu_bn(*block, identity_affine(CHANNELS))
    shift, affine = explicit_bias(affine)
    return nn.Sequential(conv, nn.ReLU(), shift), affine


@torch.no_grad()
def test_chain_of_padded_convolutions_is_exact_to_the_border() -> None:
    first, second = _block(0), _block(1)
    x = torch.randn(1, CHANNELS, 3, 3)
    folded, affine = _fold_for_padding(first)
    second_conv, second_affine = fold_relu_bn(*second, affine)
    stored = F.relu(second_conv(folded(x)))
    expected = _true(second, _true(first, x))
    assert relative_difference(_recovered(second_affine, stored), expected) < 1e-5


@torch.no_grad()
def test_naive_forward_folding_would_be_wrong_on_the_border() -> None:
    # Guards the test above: its inputs do tell exact from naive.
    first, second = _block(0), _block(1)
    x = torch.randn(1, CHANNELS, 3, 3)
    conv, affine = fold_relu_bn(*first, identity_affine(CHANNELS))
    second_conv, second_affine = fold_relu_bn(*second, affine)
    stored = F.relu(second_conv(F.relu(conv(x))))
    expected = _true(second, _true(first, x))
    assert relative_difference(_recovered(second_affine, stored), expected) > 1e-2


@torch.no_grad()
def test_pooling_between_is_exact_for_negative_scales() -> None:
    first, second = _block(2), _block(3)
    x = torch.randn(1, CHANNELS, 4, 4)
    folded, affine = _fold_for_padding(first)
    flip, affine = pooled(affine)
    second_conv, second_affine = fold_relu_bn(*second, affine)
    assert isinstance(flip, SignFlip)
    stored = F.relu(second_conv(F.max_pool2d(flip(folded(x)), 2, 2)))
    expected = _true(second, F.max_pool2d(_true(first, x), 2, 2))
    assert relative_difference(_recovered(second_affine, stored), expected) < 1e-5


@torch.no_grad()
def test_pooling_needs_no_operator_where_all_scales_are_positive() -> None:
    conv, norm = _block(2)
    norm.weight.abs_()
    _, affine = _fold_for_padding((conv, norm))
    flip, _ = pooled(affine)
    assert isinstance(flip, nn.Identity)


@torch.no_grad()
def test_concatenation_is_exact() -> None:
    first, other, reader = _block(4), _block(5), _block(6, in_channels=2 * CHANNELS)
    x = torch.randn(1, CHANNELS, 2, 2)
    folded_first, first_affine = _fold_for_padding(first)
    folded_other, other_affine = _fold_for_padding(other)
    conv, affine = fold_relu_bn(*reader, concatenated(first_affine, other_affine))
    stored = F.relu(conv(torch.cat([folded_first(x), folded_other(x)], 1)))
    expected = _true(reader, torch.cat([_true(first, x), _true(other, x)], 1))
    assert relative_difference(_recovered(affine, stored), expected) < 1e-5


@torch.no_grad()
def test_a_scale_of_zero_leaves_the_shift() -> None:
    block, reader = _block(7), _block(8)
    block[1].weight[0] = 0.0
    x = torch.randn(1, CHANNELS, 3, 3)
    folded, affine = _fold_for_padding(block)
    conv, reader_affine = fold_relu_bn(*reader, affine)
    expected = _true(reader, _true(block, x))
    assert relative_difference(_recovered(reader_affine, F.relu(conv(folded(x)))), expected) < 1e-5


def _up() -> LinearShuffleUp:
    torch.manual_seed(0)
    up = LinearShuffleUp(CHANNELS)
    harden(up, seed=1)
    return up


def _difference(up: LinearShuffleUp) -> float:
    """Through a padded convolution, which sees the border of the shuffled map."""
    conv = nn.Conv2d(CHANNELS // 2, 4, 3, padding=1)
    norm = nn.BatchNorm2d(4).eval()
    x = torch.randn(1, CHANNELS, 2, 3)
    folded, affine = fold_linear_shuffle(up, identity_affine(CHANNELS))
    reader, reader_affine = fold_relu_bn(conv, norm, affine)
    stored = F.relu(reader(folded(x)))
    actual = stored * reader_affine.sign.reshape(1, -1, 1, 1).float()
    return relative_difference(
        actual + reader_affine.shift.reshape(1, -1, 1, 1).float(), norm(F.relu(conv(up(x))))
    )


@torch.no_grad()
def test_exact_where_signs_differ_between_positions() -> None:
    up = _up()
    folded, _ = fold_linear_shuffle(up, identity_affine(CHANNELS))
    assert isinstance(folded.flip, SignFlip)
    assert _difference(up) < 1e-5


@torch.no_grad()
def test_one_sign_a_channel_needs_no_operator() -> None:
    up = _up()
    signs = torch.tensor([1.0, -1.0, 1.0, -1.0]).repeat_interleave(4)
    up.norm.weight.copy_(up.norm.weight.abs() * signs)
    folded, _ = fold_linear_shuffle(up, identity_affine(CHANNELS))
    assert isinstance(folded.flip, nn.Identity)
    assert _difference(up) < 1e-5

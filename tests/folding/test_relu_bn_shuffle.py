import torch
from torch import nn
from torch.nn import functional as F

from sqsam_deploy.folding.channel_affine import identity_mix
from sqsam_deploy.folding.relu_bn import fold_relu_bn
from sqsam_deploy.folding.relu_bn_shuffle import fold_linear_shuffle
from sqsam_deploy.folding.sign_flip import SignFlip
from sqsam_deploy.model.blocks import LinearShuffleUp
from tests.folding.norms import harden, relative_difference

CHANNELS = 8


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
    folded, mix = fold_linear_shuffle(up, identity_mix(CHANNELS))
    reader, reader_mix = fold_relu_bn(conv, norm, mix)
    stored = F.relu(reader(folded(x)))
    actual = stored * reader_mix.sign.reshape(1, -1, 1, 1).float()
    return relative_difference(
        actual + reader_mix.shift.reshape(1, -1, 1, 1).float(), norm(F.relu(conv(up(x))))
    )


@torch.no_grad()
def test_exact_where_signs_differ_between_positions() -> None:
    up = _up()
    folded, _ = fold_linear_shuffle(up, identity_mix(CHANNELS))
    assert isinstance(folded.flip, SignFlip)
    assert _difference(up) < 1e-5


@torch.no_grad()
def test_one_sign_a_channel_needs_no_operator() -> None:
    up = _up()
    signs = torch.tensor([1.0, -1.0, 1.0, -1.0]).repeat_interleave(4)
    up.norm.weight.copy_(up.norm.weight.abs() * signs)
    folded, _ = fold_linear_shuffle(up, identity_mix(CHANNELS))
    assert isinstance(folded.flip, nn.Identity)
    assert _difference(up) < 1e-5

import torch
from torch import nn

from sqsam_deploy.folding.conv_norm import (
    fold_conv_bn,
    fold_conv_transpose_bn,
    fold_pixel_scaling,
)
from tests.folding.norms import harden, relative_difference


def _pair(bias: bool) -> tuple[nn.Conv2d, nn.BatchNorm2d]:
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(5, 8, 3, padding=1, bias=bias), nn.BatchNorm2d(8)
    harden(norm, seed=1)
    return conv, norm


@torch.no_grad()
def test_equals_convolution_then_norm_with_and_without_bias() -> None:
    x = torch.randn(2, 5, 7, 9)
    for bias in (True, False):
        conv, norm = _pair(bias)
        assert relative_difference(fold_conv_bn(conv, norm)(x), norm(conv(x))) < 1e-5


@torch.no_grad()
def test_leaves_the_original_alone() -> None:
    conv, norm = _pair(True)
    before = conv.weight.clone()
    fold_conv_bn(conv, norm)
    assert torch.equal(conv.weight, before)


@torch.no_grad()
def test_keeps_stride_and_no_padding() -> None:
    conv, norm = nn.Conv2d(5, 8, 4, stride=4), nn.BatchNorm2d(8)
    harden(norm, seed=2)
    x = torch.randn(1, 5, 16, 16)
    folded = fold_conv_bn(conv, norm)(x)
    assert folded.shape == (1, 8, 4, 4)
    assert relative_difference(folded, norm(conv(x))) < 1e-5


@torch.no_grad()
def test_tiny_variance_costs_no_digits() -> None:
    conv, norm = _pair(True)
    norm.running_var.fill_(1e-6)
    x = torch.randn(2, 5, 7, 9)
    expected = norm.double()(conv.double()(x.double()))
    conv, norm = conv.float(), norm.float()
    assert relative_difference(fold_conv_bn(conv, norm)(x), expected.float()) < 1e-5


@torch.no_grad()
def test_equals_conv_transpose_then_norm_with_as_many_channels_in_as_out() -> None:
    # With equal counts, scaling the wrong axis would not fail by its shape.
    torch.manual_seed(0)
    conv, norm = nn.ConvTranspose2d(6, 6, 2, stride=2, bias=False), nn.BatchNorm2d(6)
    harden(norm, seed=1)
    x = torch.randn(2, 6, 5, 3)
    folded = fold_conv_transpose_bn(conv, norm)(x)
    assert relative_difference(folded, norm(conv(x))) < 1e-5


@torch.no_grad()
def test_raw_pixels_give_what_normalized_pixels_gave() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(5, 8, 2, stride=2)
    mean = torch.tensor([0.485, 0.456, 0.406, 0.0, 0.0]).reshape(1, 5, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225, 1.0, 1.0]).reshape(1, 5, 1, 1)
    pixels = torch.randint(0, 256, (1, 5, 8, 8)).float()
    folded = fold_pixel_scaling(conv, mean, std)(pixels)
    assert relative_difference(folded, conv((pixels / 255 - mean) / std)) < 1e-5

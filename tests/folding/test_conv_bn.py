import torch
from torch import nn

from sqsam_deploy.folding.conv_bn import fold_conv_bn
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

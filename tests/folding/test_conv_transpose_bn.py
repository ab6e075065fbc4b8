import torch
from torch import nn

from sqsam_deploy.folding.conv_transpose_bn import fold_conv_transpose_bn
from tests.folding.norms import harden, relative_difference


@torch.no_grad()
def test_equals_conv_transpose_then_norm_with_as_many_channels_in_as_out() -> None:
    # With equal counts, scaling the wrong axis would not fail by its shape.
    torch.manual_seed(0)
    conv, norm = nn.ConvTranspose2d(6, 6, 2, stride=2, bias=False), nn.BatchNorm2d(6)
    harden(norm, seed=1)
    x = torch.randn(2, 6, 5, 3)
    folded = fold_conv_transpose_bn(conv, norm)(x)
    assert relative_difference(folded, norm(conv(x))) < 1e-5

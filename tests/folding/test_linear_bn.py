import torch
from torch import nn

from sqsam_deploy.folding.linear_bn import fold_linear_bn
from tests.folding.norms import harden, relative_difference


@torch.no_grad()
def test_equals_per_pixel_linear_then_norm() -> None:
    torch.manual_seed(0)
    linear, norm = nn.Linear(6, 6), nn.BatchNorm2d(6)
    harden(norm, seed=1)
    x = torch.randn(2, 5, 3, 6)
    expected = norm(linear(x).permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
    assert relative_difference(fold_linear_bn(linear, norm)(x), expected) < 1e-5

import torch
from torch import nn

from sqsam_deploy.folding.group_norm import MapNorm
from tests.folding.norms import relative_difference


@torch.no_grad()
def test_equals_group_norm_far_from_zero() -> None:
    torch.manual_seed(0)
    norm = nn.GroupNorm(1, 8)
    norm.weight.uniform_(-2, 2)
    norm.bias.normal_()
    x = torch.randn(1, 8, 16, 16) + 50.0
    assert relative_difference(MapNorm(norm)(x), norm(x)) < 2e-5

import torch
from torch import nn

from sqsam_deploy.folding.layers import MapNorm, SingleKeyAttention
from sqsam_deploy.model.transformer import Attention
from tests.folding.norms import relative_difference


@torch.no_grad()
def test_equals_group_norm_far_from_zero() -> None:
    torch.manual_seed(0)
    norm = nn.GroupNorm(1, 8)
    norm.weight.uniform_(-2, 2)
    norm.bias.normal_()
    x = torch.randn(1, 8, 16, 16) + 50.0
    assert relative_difference(MapNorm(norm)(x), norm(x)) < 2e-5


@torch.no_grad()
def test_equals_attention_over_one_key() -> None:
    torch.manual_seed(0)
    attention = Attention(16, num_heads=4, downsample=2)
    queries, key = torch.randn(1, 5, 16), torch.randn(1, 1, 16)
    expected = attention(queries, key, key)
    actual = SingleKeyAttention(attention)(queries, key, key).expand_as(expected)
    assert relative_difference(actual, expected) < 1e-5


@torch.no_grad()
def test_would_not_equal_attention_over_two_keys() -> None:
    torch.manual_seed(0)
    attention = Attention(16, num_heads=4)
    queries, keys = torch.randn(1, 5, 16), torch.randn(1, 2, 16)
    one_key = SingleKeyAttention(attention)(queries, keys[:, :1], keys[:, :1])
    assert relative_difference(one_key.expand(1, 5, 16), attention(queries, keys, keys)) > 1e-2

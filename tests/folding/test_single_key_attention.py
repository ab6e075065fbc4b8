import torch

from sqsam_deploy.folding.single_key_attention import SingleKeyAttention
from sqsam_deploy.model.transformer import Attention
from tests.folding.norms import relative_difference


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

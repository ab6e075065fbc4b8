import torch
from torch import nn

from sqsam_deploy.folding.layers import MapNorm, SingleKeyAttention
from sqsam_deploy.folding.padded_taps import drop_padded_taps
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


class _Down(nn.Sequential):
    def __init__(self) -> None:
        super().__init__(
            nn.Conv2d(3, 8, 3, padding=1),
            nn.MaxPool2d(2, 2),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.ConvTranspose2d(8, 4, 2, stride=2),
            nn.Conv2d(4, 4, 1),
        )


@torch.no_grad()
def test_taps_that_only_padding_meets_are_dropped_and_no_others() -> None:
    torch.manual_seed(0)
    network, x = _Down(), torch.randn(1, 3, 2, 2)
    expected = network(x)
    drop_padded_taps(network, (x,))
    torch.testing.assert_close(network(x), expected, rtol=0, atol=1e-6)
    assert [layer.weight.shape[2] for layer in network if hasattr(layer, "weight")] == [3, 1, 2, 1]
    torch.export.export(network.eval(), (x,))


@torch.no_grad()
def test_no_tap_is_dropped_of_a_map_of_two_pixels() -> None:
    network = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1))
    drop_padded_taps(network, (torch.randn(1, 3, 2, 1),))
    assert network[0].weight.shape == (8, 3, 3, 3)

"""The peers are the published networks: their parameters are those of their papers."""

import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch

PEERS = Path(__file__).parents[2] / "benchmarks" / "peers"


@pytest.fixture
def networks(monkeypatch):
    # Importing it here would run into the very trap that `networks` goes around.
    if find_spec("timm") is None:
        pytest.skip("timm is not installed")
    monkeypatch.syspath_prepend(PEERS)
    yield __import__("networks")
    sys.modules.pop("networks", None)


# Millions, without a classifier: SAM's encoders, TinyViT-5M, ViT-Ti/16 (5.5 with the positions of
# 224 pixels, here of 1024), RepViT-M1, ResNet-18, EfficientViT-L1.
PUBLISHED = {
    "sam-vit-h": 637.0,
    "sam-vit-b": 89.7,
    "mobilesam": 5.07,
    "efficientsam-ti": 5.5 + 192 * (64 * 64 - 14 * 14) / 1e6,
    "edgesam": 4.7,
    "nanosam": 11.18,
    "efficientvit-sam-l1": 49.5,
}


@pytest.mark.parametrize("key", PUBLISHED)
def test_peer_has_its_published_parameters(networks, key):
    peer = next(peer for peer in networks.PEERS if peer.key == key)
    with torch.device("meta"):
        network = peer.build(peer.input_size)
    millions = sum(p.numel() for p in network.parameters()) / 1e6
    assert millions == pytest.approx(PUBLISHED[key], rel=0.03)


def test_only_gigabytes_are_left_out_unless_named(networks):
    assert [peer.key for peer in networks.PEERS if peer.large] == ["sam-vit-h"]

"""Structure: numbers that the paper, the issue or a formula fixes."""

import pytest
import torch
from torch import nn

from sqsam_deploy.errors import UsageError
from sqsam_deploy.model.config import NANO, PAPER, PRESETS, RELEASE_2023_12, ModelConfig, preset
from sqsam_deploy.model.network import SqueezeSAM


def _parameters(config: ModelConfig) -> int:
    with torch.device("meta"):
        model = SqueezeSAM(config)
    return sum(p.numel() for p in model.parameters())


def test_paper_meets_the_stated_bounds() -> None:
    # arXiv 2312.06736: 12.5 M parameters, 1024x1024 down to 1x1x256, at most 256 channels.
    # The exact widths are not public; this set comes to 12.45 M, within half a percent.
    assert abs(_parameters(PAPER) / 12.5e6 - 1) < 0.005
    assert PAPER.image_size == 1024
    assert (PAPER.bottleneck_size, PAPER.embedding_dim, max(PAPER.widths)) == (1, 256, 256)


def test_release_has_its_published_size() -> None:
    assert _parameters(RELEASE_2023_12) == 10_159_260
    assert RELEASE_2023_12.bottleneck_size == 2


def test_nano_is_about_a_quarter() -> None:
    assert 2.9e6 < _parameters(NANO) < 3.3e6


@pytest.mark.parametrize("config", PRESETS.values(), ids=PRESETS)
def test_first_upsampling_matches_the_formula(config: ModelConfig) -> None:
    """ConvTranspose: C * C/2 * 4 weights. Linear: C * 2C weights and 2C biases."""
    with torch.device("meta"):
        up = SqueezeSAM(config).decoder.levels[0].up
    width = config.widths[-1]
    norms = sum(2 * m.num_features for m in up.modules() if isinstance(m, nn.BatchNorm2d))
    layers = sum(p.numel() for p in up.parameters()) - norms
    assert layers == 2 * width**2 + (2 * width if config.upsampling == "linear-shuffle" else 0)


@torch.no_grad()
def test_nano_masks_are_half_the_input_and_depend_on_every_input() -> None:
    torch.manual_seed(0)
    model = SqueezeSAM(NANO).eval()
    image, maps = torch.rand(1, 3, 256, 256) * 255, torch.zeros(1, 2, 256, 256)
    coords, labels = torch.full((1, 8, 2), 100.0), torch.full((1, 8), -1.0)
    masks, ious = model(image, maps, coords, labels)
    assert masks.shape == (1, 4, 128, 128)
    assert ious.shape == (1, 4)
    changes = (
        (255 - image, maps, coords, labels),
        (image, maps + 255, coords, labels),
        (image, maps, coords, labels * -1),
    )
    for changed in changes:
        assert not torch.allclose(model(*changed)[0], masks, atol=1e-4)


@torch.no_grad()
def test_padding_points_ignore_their_coordinates() -> None:
    torch.manual_seed(0)
    encoder = SqueezeSAM(NANO).point_encoder
    assert encoder is not None
    labels = torch.tensor([[1.0, -1.0]])
    a = encoder(torch.tensor([[[10.0, 20.0], [30.0, 40.0]]]), labels)
    b = encoder(torch.tensor([[[10.0, 20.0], [99.0, 0.0]]]), labels)
    assert torch.equal(a, b)
    assert torch.equal(a[0, 1], encoder.padding_embedding[0])


@torch.no_grad()
def test_point_tokens_are_sams_fourier_features() -> None:
    """Against SAM's formula, written with complex exponentials."""
    torch.manual_seed(0)
    encoder = SqueezeSAM(NANO).point_encoder
    assert encoder is not None
    x, y = 10.0, 200.0
    token = encoder(torch.tensor([[[x, y]]]), torch.tensor([[3.0]]))[0, 0]
    unit = torch.tensor([2 * (x + 0.5) / 256 - 1, 2 * (y + 0.5) / 256 - 1], dtype=torch.float64)
    waves = torch.exp(2j * torch.pi * (unit @ encoder.frequencies.double()))
    expected = torch.cat([waves.imag, waves.real]) + encoder.label_embeddings[3].double()
    torch.testing.assert_close(token.double(), expected, atol=2e-5, rtol=0)


def test_unknown_preset_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"unknown preset 'huge'.*paper.*nano"):
        preset("huge")

"""Widening keeps every output, for any pair of networks; deepening keeps what it should."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from sqsam_deploy.errors import UsageError
from sqsam_deploy.model.config import NANO, PAPER, PAPER_512, RELEASE_2023_12, ModelConfig
from sqsam_deploy.model.network import SqueezeSAM
from sqsam_deploy.training.growth import GrowingSqueezeSAM, deepened, new_parts, widened

SMALL = replace(NANO, image_size=16, widths=(4, 6, 10, 16), num_heads=2, transformer_depth=1)


def network(config: ModelConfig, seed: int = 0) -> SqueezeSAM:
    """Random weights; norms with statistics of their own, as trained ones have."""
    torch.manual_seed(seed)
    model = SqueezeSAM(config).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d | nn.GroupNorm | nn.LayerNorm):
            nn.init.uniform_(module.weight, 0.7, 1.3)
            nn.init.normal_(module.bias, std=0.2)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model


def inputs(config: ModelConfig, seed: int = 0) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    random = torch.Generator().manual_seed(seed)
    size = config.image_size
    image = torch.randint(0, 256, (2, 3, size, size), generator=random).float()
    maps = 255.0 * torch.randint(0, 2, (2, 2, size, size), generator=random)
    points = torch.rand(2, 3, 2, generator=random) * size
    return image, maps, points, torch.tensor([[1.0, 0, -1], [2, 3, 1]])


def enlarged(given: tuple[Tensor, ...], factor: int) -> tuple[Tensor, ...]:
    """The same picture with every pixel as a square of pixels, whose mean it is."""
    image, maps, points, labels = given
    image, maps = (
        x.repeat_interleave(factor, 2).repeat_interleave(factor, 3) for x in (image, maps)
    )
    return image, maps, (points + 0.5) * factor - 0.5, labels


def assert_same(small: SqueezeSAM, large: nn.Module, factor: int) -> None:
    given = inputs(small.config)
    with torch.no_grad():
        expected, actual = small(*given), large(*enlarged(given, factor))
    for a, b in zip(expected, actual, strict=True):
        assert float((a - b).abs().max()) <= 2e-5 * float(a.max() - a.min())


def loaded(config: ModelConfig, weights: dict[str, Tensor]) -> SqueezeSAM:
    model = SqueezeSAM(config)
    model.load_state_dict(weights)
    return model.eval()


@st.composite
def pairs(draw: st.DrawFn) -> tuple[ModelConfig, ModelConfig, int]:
    """A network and a wider one, with the factor between their inputs."""
    levels, heads = draw(st.integers(2, 4)), draw(st.sampled_from((1, 2)))
    widths = [2 * draw(st.integers(1, 5)) for _ in range(levels - 1)]
    embedding = 4 * heads * draw(st.integers(1, 3))
    linear = draw(st.booleans())
    narrow = ModelConfig(
        "narrow",
        image_size=2 << levels,
        patch_size=2,
        widths=(*widths, embedding),
        block_order=draw(st.sampled_from(("conv-bn-relu", "conv-relu-bn"))),
        upsampling="linear-shuffle" if linear else "conv-transpose",
        late_fusion=draw(st.booleans()),
        first_mask=draw(st.sampled_from((0, 1))),
        num_heads=heads,
        transformer_depth=draw(st.sampled_from((1, 2))),
    )
    factor = draw(st.integers(1, 3))
    wider = [width + 2 * draw(st.integers(0, 6)) for width in widths]
    wide = replace(
        narrow,
        name="wide",
        image_size=factor * narrow.image_size,
        patch_size=factor * narrow.patch_size,
        widths=(*wider, embedding * draw(st.integers(1, 3))),
    )
    return narrow, wide, factor


@settings(max_examples=30, deadline=None)
@given(pairs(), st.integers(0, 3))
def test_a_widened_network_answers_as_the_narrow_one(
    pair: tuple[ModelConfig, ModelConfig, int], seed: int
) -> None:
    narrow, wide, factor = pair
    small = network(narrow, seed)
    large = loaded(wide, widened(small.state_dict(), narrow, wide, seed))
    assert_same(small, large, factor)


def test_nano_becomes_the_papers_network_without_its_finest_level() -> None:
    small = network(NANO)
    large = loaded(PAPER_512, widened(small.state_dict(), NANO, PAPER_512, seed=0))
    assert_same(small, large, 2)


def test_a_norm_over_channels_needs_even_copies() -> None:
    grouped = replace(SMALL, patch_norm="group")
    wide = replace(grouped, name="wide", widths=(8, 8, 12, 32))
    small = network(grouped)
    assert_same(small, loaded(wide, widened(small.state_dict(), grouped, wide, 0)), 1)
    uneven = replace(wide, widths=(6, 8, 12, 32))
    with pytest.raises(UsageError, match="6 is no multiple of 4"):
        widened(small.state_dict(), grouped, uneven, 0)


def test_copies_learn_different_things() -> None:
    wide = replace(SMALL, name="wide", widths=(8, 12, 20, 32))
    weights = widened(network(SMALL).state_dict(), SMALL, wide, seed=1)
    kernel = weights["encoder.stem.1.conv.weight"]
    # Inputs 0 and 4 are copies, and so are outputs 0 and 4: four different kernels.
    drawn = torch.stack([kernel[o, i] for o in (0, 4) for i in (0, 4)])
    assert len(drawn.flatten(1).unique(dim=0)) == 4


@pytest.mark.parametrize(
    ("wide", "reason"),
    [
        (replace(SMALL, widths=(8, 12, 20)), "same number of levels"),
        (replace(SMALL, widths=(4, 6, 8, 16)), "lose channels"),
        (replace(SMALL, widths=(4, 6, 10, 24)), "24 is no multiple of 16"),
        (replace(SMALL, num_heads=4), "num_heads"),
        (RELEASE_2023_12, "block_order"),
    ],
)
def test_networks_that_do_not_fit_are_refused(wide: ModelConfig, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        widened(network(SMALL).state_dict(), SMALL, wide, 0)


DEEP = replace(SMALL, name="deep", image_size=32, widths=(6, 4, 6, 10, 16))


def test_a_deepened_network_keeps_everything_behind_its_first_level() -> None:
    """Given the old first map, the new network's inner levels make the old tokens and last map."""
    small = network(SMALL)
    grown = loaded(DEEP, deepened(small.state_dict(), SMALL, DEEP, seed=0))
    captured: dict[str, Tensor] = {}
    small.decoder.register_forward_hook(lambda *a: captured.update(last=a[-1]))
    small.encoder.stem.register_forward_hook(lambda *a: captured.update(first=a[-1]))
    small.mask_head.register_forward_hook(lambda m, given, out: captured.update(tokens=given[0]))
    given = inputs(SMALL)
    with torch.no_grad():
        small(*given)
        growing = GrowingSqueezeSAM(DEEP, SMALL, small.state_dict())
        growing.load_state_dict(grown.state_dict())
        tokens, last = growing.eval()._old_way(
            captured["first"], growing._tokens(*enlarged(given, 2)[2:])
        )
    torch.testing.assert_close(tokens, captured["tokens"], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(last, captured["last"], rtol=1e-4, atol=1e-4)


def test_fitting_moves_only_the_new_parts_and_makes_the_error_smaller() -> None:
    small = network(SMALL)
    model = GrowingSqueezeSAM(DEEP, SMALL, small.state_dict())
    model.load_state_dict(deepened(small.state_dict(), SMALL, DEEP, seed=0))
    assert set(model.state_dict()) == set(SqueezeSAM(DEEP).state_dict())
    given, errors = inputs(DEEP), []
    optimizer = torch.optim.Adam(model.parameters(), 3e-3)
    for _ in range(60):
        *_, error = model.train()(*given)
        optimizer.zero_grad()
        error.backward()
        optimizer.step()
        errors.append(float(error))
    assert errors[-1] < 0.3 * errors[0]
    masks, iou = model.eval()(*given)
    assert masks.shape == (2, 4, 16, 16) and iou.shape == (2, 4)


def test_new_parts_are_those_that_deepening_leaves_random() -> None:
    from fnmatch import fnmatch

    small = network(SMALL)
    kept = deepened(small.state_dict(), SMALL, DEEP, seed=1)
    again = deepened(small.state_dict(), SMALL, DEEP, seed=2)
    parameters = [name for name, _ in SqueezeSAM(DEEP).named_parameters()]
    new = {n for n in parameters if any(fnmatch(n, pattern) for pattern in new_parts(DEEP))}
    drawn = {name for name in parameters if not torch.equal(kept[name], again[name])}
    # A norm starts at one and zero whatever the seed.
    assert drawn <= new
    assert all("norm" in name for name in new - drawn)


def test_paper_is_deepened_from_paper_512_alone() -> None:
    with pytest.raises(UsageError, match="'nano' cannot be deepened into 'paper'"):
        deepened({}, NANO, PAPER, 0)
    with torch.device("meta"):
        weights = SqueezeSAM(PAPER_512).state_dict()
    assert _shapes(deepened(weights, PAPER_512, PAPER, 0)) == _shapes(
        SqueezeSAM(PAPER).state_dict()
    )


def _shapes(weights: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in weights.items()}

import copy
import itertools

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from sqsam_deploy.quantization.palettes import (
    SMALLEST_LAYER,
    PaletteScheme,
    channels_per_palette,
    k_means,
    palettize,
)
from tests.tiny_network import snr_db, tiny_calibration, tiny_folded


def cost(values: np.ndarray, weights: np.ndarray, centers: np.ndarray) -> float:
    return float((weights * np.abs(values[:, None] - centers).min(1) ** 2).sum())


def best_cost(values: np.ndarray, weights: np.ndarray, count: int) -> float:
    """The least cost of all ways to cut the sorted numbers into `count` runs."""
    order = np.argsort(values)
    values, weights = values[order], weights[order]
    costs = [
        sum(
            cost(
                values[a:b], weights[a:b], np.array([np.average(values[a:b], weights=weights[a:b])])
            )
            for a, b in itertools.pairwise((0, *cuts, len(values)))
        )
        for cuts in itertools.combinations(range(1, len(values)), count - 1)
    ]
    return min(costs)


def test_the_centers_are_near_the_best_ones() -> None:
    rng = np.random.default_rng(0)
    values, weights = rng.normal(size=(20, 18)), rng.uniform(0.1, 2, (20, 18))
    centers = k_means(torch.from_numpy(values), torch.from_numpy(weights), 4)
    assert torch.equal(centers, centers.half().float())
    pairs = zip(values, weights, centers.double().numpy(), strict=True)
    found = sum(cost(*each) for each in pairs)
    best = sum(best_cost(v, w, 4) for v, w in zip(values, weights, strict=True))
    assert best <= found * (1 + 1e-6) <= 1.5 * best


def test_few_numbers_are_their_own_centers() -> None:
    values = torch.tensor([[3.0, 1.0, 1.0, 2.0], [0.0, 0.0, 0.0, 0.0]])
    centers = k_means(values, torch.ones(2, 4), 4)
    assert {*centers[0].tolist()} >= {1.0, 2.0, 3.0}
    assert 0.0 in centers[1].tolist()


def groups(layer: nn.Module, bits: int) -> list[Tensor]:
    """The weights of each group of channels that has a palette of its own."""
    weight = layer.weight
    assert isinstance(weight, Tensor)
    if isinstance(layer, nn.ConvTranspose2d):
        weight = weight.transpose(0, 1)
    return list(weight.split(channels_per_palette(len(weight), weight.numel(), bits)))


def large_layers(network: nn.Module) -> dict[str, nn.Module]:
    return {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear)
        and module.weight.numel() >= SMALLEST_LAYER
    }


@pytest.fixture(scope="module")
def palettized() -> nn.Module:
    return palettize(tiny_folded().network, tiny_calibration(), PaletteScheme(6))


def test_every_large_layer_has_few_values_that_half_precision_holds(palettized: nn.Module) -> None:
    layers = large_layers(palettized)
    assert layers
    for layer in layers.values():
        for group in groups(layer, 6):
            assert len(group.unique()) <= 2**6
            assert torch.equal(group, group.half().float())


def test_small_layers_and_the_network_itself_stay_as_they_were(palettized: nn.Module) -> None:
    before, after = tiny_folded().network.state_dict(), palettized.state_dict()
    changed = {name for name, value in before.items() if not torch.equal(value, after[name])}
    large = large_layers(tiny_folded().network)
    assert changed
    assert {name.rpartition(".")[0] for name in changed} <= set(large)
    assert all(before[f"{name}.weight"].unique().numel() > 1000 for name in large)


def test_the_masks_are_the_networks(palettized: nn.Module) -> None:
    with torch.inference_mode():
        for sample in tiny_calibration():
            expected, actual = tiny_folded().network(*sample), palettized(*sample)
            assert snr_db(expected[0], actual[0]) > 30


def test_the_weights_do_not_depend_on_the_number_of_threads(palettized: nn.Module) -> None:
    threads = torch.get_num_threads()
    torch.set_num_threads(3 - min(threads, 2))
    try:
        again = palettize(tiny_folded().network, tiny_calibration(), PaletteScheme(6))
        assert torch.get_num_threads() == 3 - min(threads, 2)
    finally:
        torch.set_num_threads(threads)
    for name, value in palettized.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name


def test_what_is_kept_in_float_is_not_touched() -> None:
    name = next(iter(large_layers(tiny_folded().network)))
    scheme = PaletteScheme(4, keep_float=(name,))
    kept = palettize(tiny_folded().network, tiny_calibration(), scheme).state_dict()
    before = tiny_folded().network.state_dict()
    assert torch.equal(kept[f"{name}.weight"], before[f"{name}.weight"])
    assert any(not torch.equal(kept[key], before[key]) for key in before)


def test_weights_make_up_for_each_others_error() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(16, 64, 3, padding=1).requires_grad_(False)
    # Neighboring pixels are alike, as those of photos are.
    maps = nn.functional.avg_pool2d(torch.randn(8, 16, 36, 36), 5, stride=1) + 0.1
    samples = [(one,) for one in maps.split(1)]
    nearest, palettized = copy.deepcopy(layer), palettize(layer, samples, PaletteScheme(4))
    for group in nearest.weight.split(channels_per_palette(64, 9216, 4)):
        flat = group.reshape(1, -1)
        (centers,) = k_means(flat, torch.ones_like(flat), 16)
        group.copy_(centers[(group[..., None] - centers).abs().argmin(-1)])
    errors = [
        sum(float((other(x) - layer(x)).square().mean()) for (x,) in samples)
        for other in (palettized, nearest)
    ]
    assert errors[0] < 0.25 * errors[1]


def test_a_layer_whose_inputs_never_vary_takes_the_nearest_values() -> None:
    """As one that is given learned tokens alone; the bias makes up for all of the error."""
    torch.manual_seed(0)
    layer = nn.Linear(128, 64).requires_grad_(False)
    tokens = 1000 + torch.randn(1, 1, 128)
    palettized = palettize(layer, [(tokens,), (tokens,)], PaletteScheme(4))
    for group in groups(palettized, 4):
        assert len(group.unique()) <= 16
    assert (palettized.weight - layer.weight).abs().max() < 0.1 * layer.weight.abs().max()
    assert snr_db(layer(tokens), palettized(tokens)) > 60

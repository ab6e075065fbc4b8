import pytest
import torch
from torch import nn

from sqsam_deploy.training.schedule import WeightAverage, learning_rate, mixed


@pytest.mark.parametrize(
    ("progress", "rate"), [(0.0, 0.0), (0.05, 0.5), (0.1, 1.0), (0.55, 0.5), (1.0, 0.0), (1.1, 0.0)]
)
def test_rate_rises_then_falls_linearly(progress: float, rate: float) -> None:
    assert learning_rate(1.0, 0.1, progress) == pytest.approx(rate)


def test_average_of_one_moving_weight_is_its_closed_form() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average = WeightAverage(model, decay=0.1)
    nn.init.ones_(model.weight)
    for _ in range(5):
        average.update(model)
    # min(0.1, (1 + n) / (10 + n)) is 0.1 for every n >= 1.
    assert average.weights["weight"].item() == pytest.approx(1 - 0.1**5)


def test_average_follows_fast_at_first() -> None:
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    average = WeightAverage(model, decay=0.999)
    nn.init.ones_(model.weight)
    average.update(model)
    assert average.weights["weight"].item() == pytest.approx(1 - 2 / 11)


def test_average_takes_in_batch_norms_statistics_and_counter() -> None:
    model = nn.BatchNorm2d(2)
    average = WeightAverage(model, decay=0.0)
    model(torch.randn(4, 2, 3, 3) + 5)
    average.update(model)
    torch.testing.assert_close(average.weights["running_mean"], model.running_mean)
    assert average.weights["num_batches_tracked"] == 1


def test_average_is_a_copy() -> None:
    model = nn.Linear(2, 2)
    before = model.weight.detach().clone()
    average = WeightAverage(model, 0.9)
    with torch.no_grad():
        model.weight.add_(1)
    torch.testing.assert_close(average.weights["weight"], before)


def test_mixed_weights_lie_between_and_the_ends_are_exact() -> None:
    torch.manual_seed(0)
    before = {"w": torch.randn(50), "n": torch.tensor(3)}
    after = {"w": torch.randn(50), "n": torch.tensor(7)}
    torch.testing.assert_close(mixed(before, after, 0.25)["w"], 0.75 * before["w"] + after["w"] / 4)
    assert torch.equal(mixed(before, after, 0.0)["w"], before["w"])
    assert torch.equal(mixed(before, after, 1.0)["w"], after["w"])
    assert mixed(before, after, 0.0)["n"] == 7

import pickle

import pytest
import torch

from sqsam_deploy.quantization.observers import (
    MinMaxObserver,
    MseObserver,
    PercentileObserver,
    RangeObserver,
    round_up_to_half,
)

_OPTIONS = {
    "dtype": torch.int8,
    "quant_min": -128,
    "quant_max": 127,
    "qscheme": torch.per_tensor_affine,
}


def _mean_squared_error(observer: RangeObserver, values: torch.Tensor) -> float:
    scale, zero_point = observer.calculate_qparams()
    restored = torch.fake_quantize_per_tensor_affine(
        values, float(scale), int(zero_point), -128, 127
    )
    return float((restored - values).square().mean())


def test_min_max_holds_the_extremes() -> None:
    observer = MinMaxObserver(**_OPTIONS)
    observer(torch.tensor([-1.0, 2.0]))
    observer(torch.tensor([0.0, 4.1]))
    scale, zero_point = observer.calculate_qparams()
    assert float(scale) == pytest.approx(5.1 / 255, rel=2**-10)
    assert int(zero_point) == -128 + round(1 / (5.1 / 255))


def test_the_percentile_leaves_a_lone_outlier_outside() -> None:
    torch.manual_seed(0)
    values = torch.randn(4096 * 8)
    values[0] = 100.0
    observer = PercentileObserver(**_OPTIONS)
    for part in values.split(4096):
        observer(part)
    assert float(observer.calculate_qparams()[0]) == pytest.approx(8 / 255, rel=0.1)


def test_mse_errs_no_more_than_the_whole_range() -> None:
    torch.manual_seed(0)
    values = torch.randn(4001)
    values[:3] = 12.0
    plain, mse = MinMaxObserver(**_OPTIONS), MseObserver(**_OPTIONS)
    plain(values)
    mse(values)
    assert _mean_squared_error(mse, values) <= _mean_squared_error(plain, values)


def test_mse_keeps_the_whole_range_of_evenly_spread_values() -> None:
    observer = MseObserver(**_OPTIONS)
    observer(torch.linspace(0, 1, 1001))
    assert float(observer.calculate_qparams()[0]) == pytest.approx(1 / 255, rel=0.01)


def test_scales_are_numbers_that_half_precision_holds() -> None:
    scales = torch.logspace(-3, 2, 500, dtype=torch.float64).to(torch.float32)
    rounded = round_up_to_half(scales)
    assert torch.equal(rounded, rounded.half().float())
    assert (rounded >= scales).all()
    assert ((rounded - scales) <= scales * 2.0**-10).all()


def test_small_scales_keep_the_bits_of_a_half_at_their_own_exponent() -> None:
    scales = torch.tensor([1.8e-5, 3.3e-7])
    rounded = round_up_to_half(scales)
    assert torch.equal(rounded * 2.0**20, (rounded * 2.0**20).half().float())


def test_what_min_max_keeps_does_not_grow_with_what_it_sees() -> None:
    """Small tensors that stay between large ones that go leave holes that no large one fits in."""
    observer = MinMaxObserver(**_OPTIONS)
    sizes = set()
    for _ in range(20):
        observer(torch.rand(4096))
        sizes.add(len(pickle.dumps(observer)))
    # An address in it may have a digit more; one kept value of each run would be 80 bytes.
    assert max(sizes) - min(sizes) < 20

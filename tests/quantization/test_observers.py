import pytest
import torch

from sqsam_deploy.quantization.observers import MinMaxObserver, MseObserver, PercentileObserver

_OPTIONS = {
    "dtype": torch.int8,
    "quant_min": -128,
    "quant_max": 127,
    "qscheme": torch.per_tensor_affine,
}


def _values() -> torch.Tensor:
    torch.manual_seed(0)
    values = torch.randn(4001)
    values[0] = 100.0
    return values


def _error(observer, values: torch.Tensor) -> float:
    scale, zero_point = observer.calculate_qparams()
    restored = torch.fake_quantize_per_tensor_affine(
        values, float(scale), int(zero_point), -128, 127
    )
    return float((restored - values).abs().median())


def test_min_max_holds_the_extremes() -> None:
    observer = MinMaxObserver(**_OPTIONS)
    observer(torch.tensor([-1.0, 2.0]))
    observer(torch.tensor([0.0, 4.1]))
    scale, zero_point = observer.calculate_qparams()
    assert float(scale) == pytest.approx(5.1 / 255)
    assert int(zero_point) == -128 + round(1 / (5.1 / 255))


@pytest.mark.parametrize("kind", [PercentileObserver, MseObserver])
def test_an_outlier_is_clipped_for_the_sake_of_the_rest(kind) -> None:
    values, plain, clipping = _values(), MinMaxObserver(**_OPTIONS), kind(**_OPTIONS)
    plain(values)
    # The percentile needs a share of 1e-4 to be at least one value at each end.
    clipping(values.repeat(1))
    for _ in range(7):
        clipping(values)
    assert float(clipping.calculate_qparams()[0]) < 0.5 * float(plain.calculate_qparams()[0])
    assert _error(clipping, values[1:]) < _error(plain, values[1:])


def test_mse_keeps_the_whole_range_of_evenly_spread_values() -> None:
    observer = MseObserver(**_OPTIONS)
    observer(torch.linspace(0, 1, 1001))
    assert float(observer.calculate_qparams()[0]) == pytest.approx(1 / 255, rel=0.01)

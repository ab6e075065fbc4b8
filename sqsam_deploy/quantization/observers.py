"""How an activation's int8 range is chosen from what calibration saw.

Every observer keeps the exact extremes, and one that needs more a thin, evenly spaced sample of the
values. torchao's `HistogramObserver` answers the same question several times slower, which matters
with a hundred layers at 256x256.
"""

from abc import abstractmethod
from typing import Any, Self

import torch
from torch import Tensor
from torchao.quantization.pt2e.observer import (
    PerChannelMinMaxObserver,
    UniformQuantizationObserverBase,
)

from sqsam_deploy.quantization.scheme import RangeChoice

#: Values kept of one tensor of one calibration sample.
SAMPLED_VALUES = 4096
#: Share of values that `PercentileObserver` leaves outside its range, at both ends together.
CLIPPED_SHARE = 1e-4
#: Shares of the full range that `MseObserver` tries.
_SHRINKAGES = torch.linspace(1.0, 0.3, 71)
#: Significant bits of a float16.
_HALF_BITS = 11
#: Inputs that hold whole numbers 0..255: a step of 1 represents them without loss.
PIXEL_INPUTS = ("image", "prompt_maps")
PIXEL_SCALE = 1.0
PIXEL_ZERO_POINT = -128


def round_up_to_half(scale: Tensor) -> Tensor:
    """The next number with the 11 significant bits of a float16, whatever its exponent.

    Core ML computes W8A8 in float16. Scales that float16 holds exactly are the same numbers in
    all runtimes; rounded upwards, no value that was seen falls out of the range.
    """
    mantissa, exponent = torch.frexp(scale)
    steps = float(2**_HALF_BITS)
    return torch.ldexp(torch.ceil(mantissa * steps) / steps, exponent)


class PerChannelWeightObserver(PerChannelMinMaxObserver):  # type: ignore[misc]
    """The largest weight of each output channel.

    torchao passes `ch_axis` only to classes with "PerChannel" in their name (`prepare.py`): under
    another name, transposed convolutions would be scaled along their input channels.
    """

    def calculate_qparams(self) -> tuple[Tensor, Tensor]:
        """One scale and the zero point 0 for each output channel."""
        scale, zero_point = super().calculate_qparams()
        return round_up_to_half(scale), zero_point


class RangeObserver(UniformQuantizationObserverBase):  # type: ignore[misc]
    """Records extremes; passes its input through."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.min_val = torch.tensor(float("inf"))
        self.max_val = torch.tensor(float("-inf"))

    def forward(self, x: Tensor) -> Tensor:
        """Records any tensor and returns it."""
        lowest, highest = torch.aminmax(x.detach())
        self.min_val = torch.minimum(self.min_val, lowest)
        self.max_val = torch.maximum(self.max_val, highest)
        return x

    def take_over(self, other: Self) -> None:
        """Adds what another observer saw, as if it had been seen here."""
        self.min_val = torch.minimum(self.min_val, other.min_val)
        self.max_val = torch.maximum(self.max_val, other.max_val)

    def calculate_qparams(self) -> tuple[Tensor, Tensor]:
        """Scale and zero point of the chosen range, which always holds zero."""
        lowest, highest = self.choose_range()
        exact, _ = self._calculate_qparams(lowest, highest)
        scale = round_up_to_half(exact)
        zero_point = self.quant_min - torch.round(lowest.clamp(max=0.0) / scale)
        return scale, zero_point.clamp(self.quant_min, self.quant_max).to(torch.int64)

    @abstractmethod
    def choose_range(self) -> tuple[Tensor, Tensor]:
        """Lowest and highest value that int8 shall represent."""


class MinMaxObserver(RangeObserver):
    """The whole range that was seen: nothing is clipped."""

    def choose_range(self) -> tuple[Tensor, Tensor]:
        """The extremes."""
        return self.min_val, self.max_val


class SamplingObserver(RangeObserver):
    """Records a sample of the values beside the extremes.

    It is small, and stays between large maps that go, which leaves holes that no later map fits in:
    of `paper`, 24 calibration inputs took 0.8 GB more than their extremes alone take.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._sampled: list[Tensor] = []

    def forward(self, x: Tensor) -> Tensor:
        """Records any tensor and returns it."""
        values = x.detach().flatten()
        # An odd stride does not fall in step with the channels or columns of a map.
        stride = max(len(values) // SAMPLED_VALUES, 1) | 1
        self._sampled.append(values[::stride].clone())
        return super().forward(x)

    def take_over(self, other: Self) -> None:
        """Adds what another observer saw, as if it had been seen here."""
        super().take_over(other)
        self._sampled += other._sampled

    @property
    def sampled(self) -> Tensor:
        """Values seen, thinned."""
        return torch.cat(self._sampled)


class PercentileObserver(SamplingObserver):
    """The range without the outermost `CLIPPED_SHARE` of the values."""

    def choose_range(self) -> tuple[Tensor, Tensor]:
        """The inner values' extremes."""
        ordered = self.sampled.sort().values
        outside = int(len(ordered) * CLIPPED_SHARE / 2)
        return ordered[outside], ordered[len(ordered) - 1 - outside]


class MseObserver(SamplingObserver):
    """The range with the smallest mean squared error on the values seen.

    Clipping far values makes the steps finer for all others; ends shrink together, as both steps
    depend on the one width.
    """

    def choose_range(self) -> tuple[Tensor, Tensor]:
        """The best of the shrunken ranges."""
        values = self.sampled
        errors = torch.stack([self._error(values, share) for share in _SHRINKAGES])
        best = _SHRINKAGES[errors.argmin()]
        return self.min_val * best, self.max_val * best

    def _error(self, values: Tensor, share: Tensor) -> Tensor:
        scale, zero_point = self._calculate_qparams(self.min_val * share, self.max_val * share)
        steps = torch.round(values / scale) + zero_point
        restored = (steps.clamp(self.quant_min, self.quant_max) - zero_point) * scale
        error: Tensor = (restored - values).square().mean()
        return error


OBSERVERS: dict[RangeChoice, type[RangeObserver]] = {
    "min-max": MinMaxObserver,
    "percentile": PercentileObserver,
    "mse": MseObserver,
}


def activation_observer(ranges: RangeChoice) -> RangeObserver:
    """An observer of one activation, as calibration would make it."""
    return OBSERVERS[ranges](
        dtype=torch.int8, quant_min=-128, quant_max=127, qscheme=torch.per_tensor_affine
    )

"""Axes of the plots that the pages' SVG templates draw."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

#: Pixels that a page leaves to a drawing: on a phone of 390, and from 40rem on.
PHONE, NOT_NARROW = 360, 592
#: Width of a character of a label, in pixels.
CHARACTER = 7.0


@dataclass(frozen=True)
class Axis:
    """Maps `low` to `start` and `high` to `end`; values beyond them to the nearer end."""

    low: float
    high: float
    start: float
    end: float

    def at(self, value: float) -> float:
        """The place of a value."""
        share = (value - self.low) / ((self.high - self.low) or 1.0)
        return round(self.start + min(max(share, 0.0), 1.0) * (self.end - self.start), 2)


@dataclass(frozen=True)
class Tick:
    """A line across a panel with its number."""

    at: float
    label: str


def stepped_axis(values: Sequence[float], step: float, start: float, end: float) -> Axis:
    """From one multiple of `step` to another, with all values between them."""
    low = step * math.floor(min(values) / step)
    high = step * math.ceil(max(values) / step)
    return Axis(low, max(high, low + step), start, end)


def round_step(span: float, most: int) -> float:
    """The least of 1, 2 and 5 times the powers of ten that divides a span into at most `most`."""
    power = 10.0 ** math.floor(math.log10(span / most))
    return next(n * power for n in (1, 2, 5, 10) if n * power * most >= span)


def stepped_ticks(axis: Axis, step: float) -> tuple[Tick, ...]:
    """A tick at every multiple of `step`."""
    first, last = round(axis.low / step), round(axis.high / step)
    return tuple(tick(axis, n * step, n * step) for n in range(first, last + 1))


def tick(axis: Axis, place: float, value: float) -> Tick:
    """A tick at a place of the axis that is labeled with a value."""
    return Tick(axis.at(place), f"{value:g}".replace("-", "\N{MINUS SIGN}"))

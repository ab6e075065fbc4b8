"""Operators counted by kind."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class OperatorCount:
    """How often a kind of operator occurs."""

    name: str
    count: int


def counted(names: Iterable[str]) -> tuple[OperatorCount, ...]:
    """The most frequent first, equal ones by name."""
    found = sorted(Counter(names).items(), key=lambda item: (-item[1], item[0]))
    return tuple(OperatorCount(name, count) for name, count in found)


def total(counts: Iterable[OperatorCount]) -> int:
    """Operators of all kinds."""
    return sum(item.count for item in counts)

"""An artifact, looked into: every byte accounted for, and its operators counted."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, get_args

#: weights: trained numbers, biases included. scales: of int8 weights and activations, with zero
#: points. program: operators, connections, names and shapes. metadata: what the file says of
#: itself. alignment: bytes that only move the next part to a round address.
Kind = Literal["weights", "scales", "program", "metadata", "alignment"]
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True)
class Part:
    """Some of an artifact's bytes.

    Attributes:
        kind: What they are for.
        name: What they are in this format.
        bytes: How many.
    """

    kind: Kind
    name: str
    bytes: int


def bytes_by_kind(parts: Iterable[Part]) -> dict[Kind, int]:
    """Sums, every kind included."""
    parts = tuple(parts)
    return {kind: sum(part.bytes for part in parts if part.kind == kind) for kind in KINDS}


def without_empty(*parts: Part) -> tuple[Part, ...]:
    """The parts that have bytes."""
    return tuple(part for part in parts if part.bytes)


@dataclass(frozen=True)
class OperatorCount:
    """How often a kind of operator occurs."""

    name: str
    count: int


def count_operators(names: Iterable[str]) -> tuple[OperatorCount, ...]:
    """The most frequent first, equal ones by name."""
    found = sorted(Counter(names).items(), key=lambda item: (-item[1], item[0]))
    return tuple(OperatorCount(name, count) for name, count in found)


@dataclass(frozen=True)
class OperatorGroup:
    """Operators that a reader of a report wants to see together.

    Attributes:
        title: What they have in common: "in the delegate, int8".
        operators: By kind, the most frequent first.
        is_costly: Whether a good artifact has none of them: a report shows their number first.
    """

    title: str
    operators: tuple[OperatorCount, ...]
    is_costly: bool = False

    @property
    def total(self) -> int:
        """Operators of all kinds."""
        return sum(item.count for item in self.operators)


@dataclass(frozen=True)
class Inspection:
    """The parts and operators of an artifact.

    Attributes:
        parts: Add up to its size.
        operators: The same groups for every artifact of one runtime; empty where the file does
            not tell them.
    """

    parts: tuple[Part, ...]
    operators: tuple[OperatorGroup, ...] = ()

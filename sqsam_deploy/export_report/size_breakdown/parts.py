"""What an artifact's bytes are, part by part."""

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


def bytes_by_kind(parts: tuple[Part, ...]) -> dict[Kind, int]:
    """Sums, every kind included."""
    return {kind: sum(part.bytes for part in parts if part.kind == kind) for kind in KINDS}


def without_empty(*parts: Part) -> tuple[Part, ...]:
    """The parts that have bytes."""
    return tuple(part for part in parts if part.bytes)

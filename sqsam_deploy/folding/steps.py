"""The record of a folding, one step per norm."""

from dataclasses import dataclass
from typing import Literal

Rule = Literal[
    "pixel scaling",
    "conv-bn",
    "conv-transpose-bn",
    "conv-relu-bn",
    "linear-relu-bn-shuffle",
    "group norm, explicit",
    "single key attention",
    "unused",
    "kept",
]


@dataclass(frozen=True)
class FoldStep:
    """One norm (or other part) of the original network and where it went.

    Attributes:
        source: Module path in the original network.
        rule: How it was treated; "kept" means that it still is a norm of its own.
        into: Module paths in the folded network that now carry its effect; empty where it had
            none or was kept.
        reason: Why it was kept or dropped, and what else is worth knowing.
    """

    source: str
    rule: Rule
    into: tuple[str, ...] = ()
    reason: str = ""

    @property
    def kept(self) -> bool:
        """Whether normalization arithmetic of this norm is left."""
        return self.rule in ("kept", "group norm, explicit")

"""What was folded into what, by rule."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqsam_deploy.folding import FoldStep
from sqsam_deploy.folding.steps import Rule

_MEANING: dict[Rule, str] = {
    "pixel scaling": "mean and standard deviation of the pixels are in the first convolution",
    "conv-bn": "a norm right after a convolution is in its weights and bias",
    "conv-transpose-bn": "the same of a transposed convolution",
    "conv-relu-bn": "a norm after the ReLU is in the next convolution, its border included",
    "linear-relu-bn-shuffle": "the same across the pixel shuffle",
    "group norm, explicit": "written out in plain arithmetic; its statistics are the image's own",
    "single key attention": "attention to one key is that key's value: a linear layer is left",
    "unused": "the result never used it",
    "kept": "still a norm of its own",
}


@dataclass(frozen=True)
class FoldedRule:
    """All steps of one rule.

    Attributes:
        rule: Its name.
        meaning: One sentence.
        steps: In the network's order.
    """

    rule: Rule
    meaning: str
    steps: tuple[FoldStep, ...]


def folded_rules(steps: Sequence[FoldStep]) -> tuple[FoldedRule, ...]:
    """Steps by rule, in the order in which the rules occur."""
    rules = dict.fromkeys(step.rule for step in steps)
    return tuple(
        FoldedRule(rule, _MEANING[rule], tuple(step for step in steps if step.rule == rule))
        for rule in rules
    )

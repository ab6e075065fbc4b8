"""Timed events of several inferences, added up by kind of operator."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from sqsam_deploy.benchmark.result import OperatorCost

#: How many kinds a profile lists by name.
LISTED = 10
OTHERS = "all others"


@dataclass(frozen=True)
class Event:
    """One operator's call in one inference.

    Attributes:
        operator: Its kind.
        place: What ran it.
        milliseconds: How long it took.
    """

    operator: str
    place: str
    milliseconds: float


Inference = Sequence[Event]


def add_up(inferences: Sequence[Inference], totals: Sequence[float]) -> tuple[OperatorCost, ...]:
    """Costs of the costliest kinds and of all others, by the median over the inferences.

    Args:
        inferences: Events of each inference.
        totals: Milliseconds of each inference; what the events leave is listed as "runtime".
    """
    whole = float(np.median(totals))
    sums: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0] * len(inferences))
    for index, events in enumerate(inferences):
        for event in events:
            sums[event.operator, event.place][index] += event.milliseconds
    calls = Counter((event.operator, event.place) for event in inferences[-1])
    costs = [
        _cost(operator, place, calls[operator, place], float(np.median(values)), whole)
        for (operator, place), values in sums.items()
    ]
    spent = [sum(event.milliseconds for event in events) for events in inferences]
    left = float(np.median([max(t - s, 0.0) for t, s in zip(totals, spent, strict=True)]))
    costs.append(_cost("between operators", "runtime", 0, left, whole))
    return _listed(sorted(costs, key=lambda cost: -cost.milliseconds), whole)


def _cost(operator: str, place: str, calls: int, ms: float, whole: float) -> OperatorCost:
    share = min(ms / whole, 1.0) if whole else 0.0
    return OperatorCost(
        operator=operator, place=place, calls=calls, milliseconds=max(ms, 0.0), share=share
    )


def _listed(costs: list[OperatorCost], whole: float) -> tuple[OperatorCost, ...]:
    rest = costs[LISTED:]
    if not rest:
        return tuple(costs)
    calls, ms = sum(cost.calls for cost in rest), sum(cost.milliseconds for cost in rest)
    return (*costs[:LISTED], _cost(OTHERS, "", calls, ms, whole))

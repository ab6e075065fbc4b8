"""Where inferences spend their time: timed events, added up by kind of operator."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from sqsam_deploy.artifact.documents import Frozen
from sqsam_deploy.runtimes.inspection import OperatorGroup

Milliseconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]

#: How many kinds a profile lists by name.
LISTED = 10
OTHERS = "all others"


class OperatorCost(Frozen):
    """Time of one kind of operator in one inference.

    Attributes:
        operator: The runtime's own name.
        place: The delegate or execution provider that ran it, or "outside delegates", "runtime".
        calls: In one inference.
        milliseconds: Of all its calls, median over inferences.
        share: Of the whole inference.
    """

    operator: str
    place: str
    calls: int = Field(ge=0)
    milliseconds: Milliseconds
    share: float = Field(ge=0, le=1)


class Profile(Frozen):
    """Where an inference spends its time, measured apart from the latency.

    Attributes:
        tool: What measured it.
        total: One inference while profiled; higher than the latency by what profiling costs.
        operators: The costliest first.
        delegate_calls: Times an inference enters a delegate.
    """

    tool: str
    total: Milliseconds
    operators: tuple[OperatorCost, ...]
    delegate_calls: int | None = None


@dataclass(frozen=True)
class ProfiledRun:
    """A few inferences under the runtime's own profiler.

    Attributes:
        profile: Where the time went.
        operators: The kernels that ran; empty where the profile does not have them all.
    """

    profile: Profile
    operators: tuple[OperatorGroup, ...] = ()


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

"""How the time of one inference divides among operators."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqsam_deploy.runtimes.profiling import OperatorCost, ProfiledRun

#: Kinds of operators shown by name.
SHOWN = 7


@dataclass(frozen=True)
class TimeShare:
    """A kind of operator.

    Attributes:
        operator: The runtime's own name.
        place: What ran it.
        calls: In one inference.
        share: Of the whole inference, 0 to 1.
    """

    operator: str
    place: str
    calls: int
    share: float


@dataclass(frozen=True)
class DividedTime:
    """One artifact's time.

    Attributes:
        artifact: Its name.
        tool: What measured it.
        shares: The costliest first, what is left last.
    """

    artifact: str
    tool: str
    shares: tuple[TimeShare, ...]


def divided_times(runs: Mapping[str, ProfiledRun | None]) -> tuple[DividedTime, ...]:
    """Shares of every artifact that was profiled."""
    return tuple(
        DividedTime(name, run.profile.tool, _shares(run.profile.operators))
        for name, run in runs.items()
        if run is not None
    )


def _shares(costs: tuple[OperatorCost, ...]) -> tuple[TimeShare, ...]:
    """Of the sum of all costs: each is a median of its own, so they do not add up to the whole."""
    whole = sum(cost.milliseconds for cost in costs) or 1.0
    shown = [
        TimeShare(cost.operator, cost.place, cost.calls, cost.milliseconds / whole)
        for cost in costs[:SHOWN]
    ]
    rest = costs[SHOWN:]
    if rest:
        calls, left = sum(cost.calls for cost in rest), sum(cost.milliseconds for cost in rest)
        shown.append(TimeShare("all others", "", calls, left / whole))
    return tuple(shown)

"""Verdicts that may be looked at after every photo, and the run that ends with the first one.

The bounds of `bounds` hold for a number of photos that was fixed beforehand. Looking after every
photo and stopping once it pleases breaks them: five looks make 10% of 2.5%. Bets do not break
(Waudby-Smith and Ramdas, "Estimating means of bounded random variables by betting", 2024): against
the claim that photos lose `m` points or more on average, a player stakes a part of his capital on
every photo. A photo that loses x returns 1 + r (m - x) / (largest - m) of it, for a part r of the
largest stake that can be paid. While the claim is true the capital grows on no average, so it ever
reaches 1 / TAIL with a chance of at most TAIL (Ville's inequality): whenever one looks. The claim
that nothing more than `m` is lost is played against in the mirror.

The player is a mixture of players with fixed stakes, so nothing is estimated, the order of the
photos does not change the capital, and capital against `m` grows with `m`: the claims that are not
yet refuted are an interval, which is the confidence sequence.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.evaluation.bounds import TAIL, Interval
from sqsam_deploy.evaluation.evaluator import ImageResult
from sqsam_deploy.evaluation.gate import Loss, Outcome, Verdict, holm, judge_all, overall
from sqsam_deploy.evaluation.plan import EvaluationPlan
from sqsam_deploy.evaluation.summary import Gate, Settings, collect, gates_of

#: Stakes as parts of the largest, and the capital that each player begins with. The largest stake
#: passes soonest where nothing is lost and is bankrupt at the first largest loss; the others go on.
STAKES = ((1.0, 0.7), (0.75, 0.1), (0.5, 0.1), (0.25, 0.1))

#: Enough to have refuted any claim, and far from overflow.
_RICH = 1e200
_HALVINGS = 60


class Capital:
    """The capital of K games, and the most that each ever had.

    Products and sums are taken one by one, so that a game has the same capital to the last bit
    whether it is played alone or beside others.

    Args:
        games: K.
    """

    def __init__(self, games: int) -> None:
        self._players = [np.full(games, share) for _, share in STAKES]
        self.most = np.ones(games)

    def add(self, gains: NDArray[np.float64]) -> None:
        """One more photo: K gains, from -1, all of the largest stake lost, upwards."""
        total = np.zeros_like(self.most)
        for (stake, _), capital in zip(STAKES, self._players, strict=True):
            capital *= 1 + stake * np.maximum(gains, -1.0)
            np.minimum(capital, _RICH, out=capital)
            total += capital
        self.most = np.maximum(self.most, total)

    @property
    def p_values(self) -> NDArray[np.float64]:
        """Of the claims played against; valid at any time."""
        return 1 / self.most


class Evidence:
    """The evidence of the photos so far about a loss.

    Args:
        limit: The most its mean may be.
        largest: What a photo can lose at most.
        least: What it can lose at least; negative where it can gain.
        games: How many losses are watched side by side.
    """

    def __init__(self, limit: float, largest: float, least: float, games: int = 1) -> None:
        self._limit, self._largest, self._least = limit, largest, least
        self._within, self._over = Capital(games), Capital(games)

    def add(self, values: NDArray[np.float64]) -> None:
        """One more photo's losses, one a game."""
        self._within.add((self._limit - values) / (self._largest - self._limit))
        self._over.add((values - self._limit) / (self._limit - self._least))

    @property
    def p_within(self) -> NDArray[np.float64]:
        """Small where the mean is under the limit."""
        return self._within.p_values

    @property
    def p_over(self) -> NDArray[np.float64]:
        """Small where the mean is over the limit."""
        return self._over.p_values


class UntilDecided:
    """Watches a run, photo by photo in its order, and says when the gate is decided.

    Args:
        plan: What is evaluated.
        settings: Its limits.
    """

    def __init__(self, plan: EvaluationPlan, settings: Settings) -> None:
        self._plan, self._settings = plan, settings
        self._evidence: dict[tuple[str, str, str], Evidence] = {}
        self._expected = {
            (artifact.name, kind)
            for artifact in plan.artifacts
            for kind in plan.kinds
            if not artifact.is_reference
        }

    def __call__(self, image: ImageResult) -> bool:
        """Takes one more photo's results in; whether they are enough."""
        if image.broken is None and image.objects:
            for gate in gates_of(self._plan, collect(self._plan, [image]), self._settings):
                self._evidence_of(gate).add(gate.loss.means)
        met = {(artifact, kind) for artifact, _, kind in self._evidence}
        return met == self._expected and overall(self._outcomes()) != "undecided"

    def _evidence_of(self, gate: Gate) -> Evidence:
        key = (gate.artifact, gate.measure, gate.kind)
        if key not in self._evidence:
            self._evidence[key] = _evidence(gate.loss)
        return self._evidence[key]

    def _outcomes(self) -> list[Outcome]:
        return _outcomes(list(self._evidence.values()))


def judge_when_stopped(losses: Sequence[Loss], seed: int) -> list[Verdict]:
    """One verdict a loss, right whenever the run was stopped; all of a run belong into one call.

    The ends of the interval, and the bound, are those of the confidence sequence.

    Args:
        losses: What must be within its limit, photos in the order in which they were taken.
        seed: For how many photos a run of a fixed number would need, where it is undecided.
    """
    evidence = [_evidence(loss) for loss in losses]
    for own, loss in zip(evidence, losses, strict=True):
        for value in loss.means:
            own.add(np.array([value]))
    return [
        _verdict(loss, outcome, own, verdict)
        for loss, outcome, own, verdict in zip(
            losses, _outcomes(evidence), evidence, judge_all(losses, seed), strict=True
        )
    ]


def _evidence(loss: Loss) -> Evidence:
    return Evidence(loss.limit, loss.largest, loss.least)


def _outcomes(evidence: Sequence[Evidence]) -> list[Outcome]:
    """As in `gate`: passing is not corrected for the number of gates, failing is (Holm)."""
    failed = holm([float(each.p_over[0]) for each in evidence], TAIL)
    return [
        "passed" if each.p_within[0] <= TAIL else "failed" if index in failed else "undecided"
        for index, each in enumerate(evidence)
    ]


def _verdict(loss: Loss, outcome: Outcome, evidence: Evidence, fixed: Verdict) -> Verdict:
    within, over = float(evidence.p_within[0]), float(evidence.p_over[0])
    bound = _upper(loss.means, loss.limit, loss.largest, within)
    low = -_upper(-loss.means, -loss.limit, -loss.least, over)
    interval = Interval(fixed.interval.mean, low, bound)
    found = replace(fixed, outcome=outcome, interval=interval, bound=bound)
    if outcome == "undecided":
        return found
    return replace(found, images_needed=None, images_range=(None, None))


def _upper(means: NDArray[np.float64], limit: float, largest: float, p_value: float) -> float:
    """The lowest mean that is refuted, which is the limit or below where its p-value is small."""
    low, high = (float(means.min()), limit) if p_value <= TAIL else (limit, largest)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        low, high = (low, middle) if _refuted(means, middle, largest) else (middle, high)
    return high


def _refuted(means: NDArray[np.float64], mean: float, largest: float) -> bool:
    """Whether the capital against a mean ever was enough; `Capital`'s rule, all photos at once."""
    gains = np.maximum((mean - means) / (largest - mean), -1.0)
    with np.errstate(divide="ignore"):
        players = [np.log(share) + np.cumsum(np.log1p(stake * gains)) for stake, share in STAKES]
    return bool(np.logaddexp.reduce(players).max() >= -np.log(TAIL))

"""How often the verdicts of `sqsam-parity` and `sqsam-bench compare` are wrong, by simulation.

    python benchmarks/verdicts.py drift
    python benchmarks/verdicts.py candidates
    python benchmarks/verdicts.py sequential
    python benchmarks/verdicts.py latency

Seeded, one core, some minutes each. The tables stand in docs/parity.md and docs/benchmarking.md.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import sqsam_deploy
from sqsam_deploy.benchmark.result import Timing
from sqsam_deploy.benchmark.statistics import paired_ratio
from sqsam_deploy.evaluation.bounds import LARGEST_LOSS, TAIL, images_to_pass, upper_bounds
from sqsam_deploy.evaluation.until_decided import Evidence

Array = NDArray[np.float64]
Bound = Callable[[Array, Array], Array]

#: Objects a photo: of the bundled sample, and of the evaluation set of docs/parity.md, 186 of whose
#: 268 photos show one object.
SAMPLE = Path(sqsam_deploy.__file__).parent / "datasets" / "bundled" / "sample" / "index.json"
EVAL_OBJECTS = np.repeat(np.arange(1, 11), [186, 14, 16, 16, 10, 8, 4, 11, 2, 1])
#: Standard deviation of an object's drift where nothing is lost, in mIoU points.
NOISE = 1.0
LIMIT = 1.0
IMAGES = (63, 100, 160, 220, 268, 400, 800)
_CHUNK = 250


def sample_objects() -> NDArray[np.int64]:
    """Objects in each photo of the bundled sample."""
    return np.array([len(entry["objects"]) for entry in json.loads(SAMPLE.read_bytes())])


@dataclass(frozen=True)
class Losses:
    """How quality is lost.

    Attributes:
        by: "photo", all its objects together, or "object", each by itself.
        low: Least points that a lost one loses.
        high: Most points; uniform between.
        drift: True mean loss, which fixes how rare a loss is.
    """

    by: str
    low: float
    high: float
    drift: float

    @property
    def rate(self) -> float:
        """Chance of a photo, or of an object, to be lost."""
        return self.drift / ((self.low + self.high) / 2)


def draw(
    losses: Losses, objects: NDArray[np.int64], images: int, runs: int, seed: int
) -> tuple[Array, Array]:
    """Sums of drift and numbers of objects, images x runs."""
    rng = np.random.default_rng(seed)
    count = rng.choice(objects, (images, runs)).astype(float)
    if losses.by == "photo":
        lost = rng.random(count.shape) < losses.rate
        total = count * lost * rng.uniform(losses.low, losses.high, count.shape)
    else:
        number = rng.binomial(count.astype(int), losses.rate)
        total = np.zeros(count.shape)
        for nth in range(1, int(number.max()) + 1):
            total += (number >= nth) * rng.uniform(losses.low, losses.high, count.shape)
    return total + NOISE * np.sqrt(count) * rng.normal(size=count.shape), count


def gaffke(total: Array, count: Array) -> Array:
    """The gate's own bound, of photos' means."""
    return upper_bounds(total / count, LARGEST_LOSS, seed=0)


def bca(total: Array, count: Array) -> Array:
    """BCa bootstrap of the mean over objects, resampled by photo: the gate's former interval."""
    from scipy.stats import norm

    images, runs = total.shape
    weights = _multinomial(images)
    drawn = (weights @ total) / (weights @ count)
    mean = total.sum(0) / count.sum(0)
    below = ((drawn < mean).mean(0) + (drawn <= mean).mean(0)) / 2
    bias = norm.ppf(np.clip(below, 1 / len(weights), 1 - 1 / len(weights)))
    left = (total.sum(0) - total) / (count.sum(0) - count)
    deviation = left.mean(0) - left
    acceleration = (deviation**3).sum(0) / (6 * (deviation**2).sum(0) ** 1.5)
    shifted = bias + norm.ppf(1 - TAIL)
    levels = norm.cdf(bias + shifted / (1 - acceleration * shifted))
    drawn.sort(axis=0)
    index = np.clip((levels * len(weights)).astype(int), 0, len(weights) - 1)
    upper: Array = drawn[index, np.arange(runs)]
    return upper


def studentized(total: Array, count: Array) -> Array:
    """Bootstrap-t of photos' means."""
    means = total / count
    weights = _multinomial(len(means)) / len(means)
    drawn = weights @ means
    spread = np.sqrt(np.maximum(weights @ means**2 - drawn**2, 1e-12))
    ratio = np.quantile((drawn - means.mean(0)) / spread, TAIL, axis=0)
    upper: Array = means.mean(0) - ratio * means.std(0)
    return upper


def bernstein(total: Array, count: Array) -> Array:
    """Empirical Bernstein bound of photos' means (Maurer and Pontil, 2009)."""
    means = total / count
    log, images = np.log(2 / TAIL), len(means)
    upper: Array = (
        means.mean(0)
        + np.sqrt(2 * means.var(0, ddof=1) * log / images)
        + 7 * LARGEST_LOSS * log / (3 * (images - 1))
    )
    return upper


def _multinomial(images: int, draws: int = 2000) -> Array:
    rng = np.random.default_rng(1)
    return rng.multinomial(images, np.full(images, 1 / images), size=draws).astype(float)


def share_passed(
    bound: Bound, losses: Losses, objects: NDArray[np.int64], images: int, runs: int
) -> float:
    """Share of runs whose bound is within the limit."""
    passed = 0
    for first in range(0, runs, _CHUNK):
        total, count = draw(losses, objects, images, min(_CHUNK, runs - first), seed=first)
        passed += int((bound(total, count) <= LIMIT).sum())
    return passed / runs


def share_failed(losses: Losses, objects: NDArray[np.int64], images: int, runs: int) -> float:
    """Share of runs in which Student's test finds the drift over the limit."""
    from scipy.stats import t

    total, count = draw(losses, objects, images, runs, seed=7)
    means = total / count
    error = means.std(0, ddof=1) / np.sqrt(images)
    return float((means.mean(0) - LIMIT > t.ppf(1 - TAIL, images - 1) * error).mean())


#: At the limit: what must not pass.
WORST = tuple(
    Losses(by, low, high, LIMIT)
    for by in ("photo", "object")
    for low, high in ((10, 60), (60, 60), (20, 20))
)


def drift(runs: int) -> Iterator[str]:
    """Rates of the gate as it is."""
    sets = {"eval": EVAL_OBJECTS, "sample": sample_objects()}
    yield (
        "| photos | wrongly passed, worst case | wrongly failed, worst case "
        "| passed at drift 0 | 0.1 | 0.2 | 0.4 |"
    )
    yield "|---:|---:|---:|---:|---:|---:|---:|"
    for images in IMAGES:
        wrong = [share_passed(gaffke, w, o, images, runs) for w in WORST for o in sets.values()]
        failed = [share_failed(w, o, images, runs) for w in WORST for o in sets.values()]
        power = [
            share_passed(gaffke, Losses("object", 10, 60, d), EVAL_OBJECTS, images, runs)
            for d in (0.0, 0.1, 0.2, 0.4)
        ]
        cells = [f"{100 * value:.1f}%" for value in (max(wrong), max(failed))]
        yield f"| {images} | {' | '.join(cells + [f'{100 * p:.0f}%' for p in power])} |"
    yield ""
    yield _planned(runs)


def _planned(runs: int) -> str:
    """Whether the number of photos that the gate asks for gives the power that it says."""
    losses = Losses("object", 10, 60, 0.2)
    total, count = draw(losses, EVAL_OBJECTS, 20_000, 1, seed=3)
    means = (total / count)[:, 0]
    images = images_to_pass(float(means.mean()), float(means.std()), LIMIT, LARGEST_LOSS) or 0
    power = share_passed(gaffke, losses, EVAL_OBJECTS, images, runs)
    return f"asked for at a drift of 0.2: {images} photos; passed there: {100 * power:.0f}%"


def candidates(runs: int) -> Iterator[str]:
    """Wrongly passed, worst of all cases, and power, by kind of bound."""
    bounds: dict[str, Bound] = {
        "BCa, by object": bca,
        "bootstrap-t": studentized,
        "empirical Bernstein": bernstein,
        "Gaffke": gaffke,
    }
    yield "| bound | " + " | ".join(f"{n} photos" for n in IMAGES) + " | passed at drift 0.1, 268 |"
    yield "|---|" + "---:|" * (len(IMAGES) + 1)
    for name, bound in bounds.items():
        wrong = [
            max(share_passed(bound, w, EVAL_OBJECTS, images, runs) for w in WORST)
            for images in IMAGES
        ]
        power = share_passed(bound, Losses("object", 10, 60, 0.1), EVAL_OBJECTS, 268, runs)
        cells = [f"{100 * value:.1f}%" for value in wrong]
        yield f"| {name} | {' | '.join(cells)} | {100 * power:.0f}% |"


#: Photos after which the simulation of `--until-decided` stops looking.
MOST = 5000


def decided(losses: Losses, objects: NDArray[np.int64], runs: int) -> tuple[Array, Array]:
    """Photos after which each run is passed, and failed; infinite where it never is."""
    total, count = draw(losses, objects, MOST, runs, seed=11)
    evidence = Evidence(LIMIT, LARGEST_LOSS, -LARGEST_LOSS, runs)
    passed, failed = np.full(runs, np.inf), np.full(runs, np.inf)
    for photos, means in enumerate(total / count, 1):
        evidence.add(means)
        passed = np.minimum(passed, np.where(evidence.p_within <= TAIL, photos, np.inf))
        failed = np.minimum(failed, np.where(evidence.p_over <= TAIL, photos, np.inf))
    return passed, failed


def sequential(runs: int) -> Iterator[str]:
    """Rates of `--until-decided`, which is looked at after every photo."""
    sets = (EVAL_OBJECTS, sample_objects())
    at_limit = [decided(losses, objects, runs) for losses in WORST for objects in sets]
    yield "| looked at after each of | wrongly passed, worst case | wrongly failed, worst case |"
    yield "|---:|---:|---:|"
    for most in (268, 1000, MOST):
        wrong = [max((ended[side] <= most).mean() for ended in at_limit) for side in (0, 1)]
        yield f"| {most} photos | {100 * wrong[0]:.1f}% | {100 * wrong[1]:.1f}% |"
    yield ""
    yield "| true drift | passed | failed | photos: median | 9 of 10 runs |"
    yield "|---:|---:|---:|---:|---:|"
    for drift in (0.0, 0.1, 0.2, 0.4, 2.0, 5.0, 20.0):
        passed, failed = decided(Losses("object", 10, 60, drift), EVAL_OBJECTS, runs)
        needed = [np.quantile(np.minimum(passed, failed), q, method="higher") for q in (0.5, 0.9)]
        shown = " | ".join(f"{photos:.0f}" if photos <= MOST else "-" for photos in needed)
        rates = [100 * np.isfinite(ended).mean() for ended in (passed, failed)]
        yield f"| {drift:g} | {rates[0]:.0f}% | {rates[1]:.0f}% | {shown} |"


#: Standard deviations between processes, between rounds, between samples: shares of the time.
BETWEEN = (0.02, 0.02, 0.005)
REGRESSION = 0.05


def times(rng: np.random.Generator, processes: int, rounds: int, ms: float) -> Timing:
    """Samples of one artifact: every process and every round has a level of its own."""
    process, mood, noise = BETWEEN
    levels = np.repeat(process * rng.standard_normal(processes), rounds)
    levels = levels + mood * rng.standard_normal(processes * rounds)
    samples = ms * np.exp(levels[:, None] + noise * rng.standard_normal((len(levels), 4)))
    numbers = np.repeat(np.arange(processes), rounds)
    return Timing(rounds=tuple(map(tuple, samples.tolist())), processes=tuple(numbers.tolist()))


def latency(runs: int) -> Iterator[str]:
    """How often `compare DIR_A DIR_B` finds a difference, fails and passes."""
    yield (
        "| processes x rounds | identical, interval without 1 | identical, passed 5% "
        "| 5% slower, passed | 5% slower, failed | 10% slower, failed |"
    )
    yield "|---|---:|---:|---:|---:|---:|"
    for processes, rounds in ((1, 12), (1, 60), (3, 4), (4, 3), (8, 2), (16, 2)):
        rng = np.random.default_rng(0)
        found = {
            slower: [
                paired_ratio(
                    times(rng, processes, rounds, 10 * slower), times(rng, processes, rounds, 10)
                )
                for _ in range(runs)
            ]
            for slower in (1.0, 1.0 + REGRESSION, 1.1)
        }
        limit = 1 + REGRESSION
        same, at, over = found.values()
        rates = (
            [not ratio.low <= 1 <= ratio.high for ratio in same],
            [ratio.high <= limit for ratio in same],
            [ratio.high <= limit for ratio in at],
            [ratio.low > limit for ratio in at],
            [ratio.low > limit for ratio in over],
        )
        cells = [f"{100 * np.mean(rate):.1f}%" for rate in rates]
        yield f"| {processes} x {rounds} | {' | '.join(cells)} |"


PARTS = {
    "drift": drift,
    "candidates": candidates,
    "sequential": sequential,
    "latency": latency,
}


def main() -> None:
    """Prints one part's table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=PARTS)
    parser.add_argument("--runs", type=int, default=2000)
    arguments = parser.parse_args()
    start = time.monotonic()
    for line in PARTS[arguments.part](arguments.runs):
        print(line, flush=True)
    print(f"\n{arguments.runs} runs each, {time.monotonic() - start:.0f} s")


if __name__ == "__main__":
    main()

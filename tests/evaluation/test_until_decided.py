"""A gate that may be looked at after every photo, and the run that ends with it."""

import math

import numpy as np
import pytest

from sqsam_deploy.datasets import Dataset
from sqsam_deploy.evaluation.bounds import LARGEST_LOSS, TAIL
from sqsam_deploy.evaluation.gate import DriftLimits, Loss
from sqsam_deploy.evaluation.runner import run_plan
from sqsam_deploy.evaluation.summary import Settings
from sqsam_deploy.evaluation.until_decided import (
    STAKES,
    Evidence,
    UntilDecided,
    judge_when_stopped,
)


def _first_photo_to_pass(limit: float, drift: float) -> int:
    """By the formula: photos that all lose `drift`, against a mean of `limit`."""
    gain = (limit - drift) / (LARGEST_LOSS - limit)
    return next(
        photos
        for photos in range(1, 10_000)
        if sum(share * (1 + stake * gain) ** photos for stake, share in STAKES) >= 1 / TAIL
    )


@pytest.mark.parametrize(("limit", "drift"), [(1.0, 0.0), (1.0, 0.3), (4.0, 0.0), (4.0, -2.0)])
def test_photos_that_lose_the_same_pass_when_the_capital_is_enough(limit, drift):
    photos = _first_photo_to_pass(limit, drift)
    before, at = (
        judge_when_stopped([Loss(limit, LARGEST_LOSS, np.full(n, drift))], seed=0)[0]
        for n in (photos - 1, photos)
    )
    assert (before.outcome, at.outcome) == ("undecided", "passed")
    assert before.bound > limit >= at.bound


@pytest.mark.parametrize("lost", [10.0, 30.0, 60.0])
def test_at_the_limit_looking_after_every_photo_decides_wrongly_as_rarely_as_promised(lost):
    """4,000 runs of up to 1,000 photos; three standard errors of 2.5% are 0.75 points."""
    rng = np.random.default_rng(int(lost))
    runs = 4000
    evidence = Evidence(1.0, LARGEST_LOSS, -LARGEST_LOSS, runs)
    for _ in range(1000):
        photos = lost * (rng.random(runs) < 1 / lost) + rng.normal(0, 1, runs)
        evidence.add(photos)
    assert (evidence.p_within <= TAIL).mean() <= TAIL + 0.0075
    assert (evidence.p_over <= TAIL).mean() <= TAIL + 0.0075


def test_a_broken_artifact_fails_within_few_photos_and_a_bound_says_how_bad_it_is():
    means = np.random.default_rng(0).normal(20, 8, 40)
    (verdict,) = judge_when_stopped([Loss(1.0, LARGEST_LOSS, means)], seed=0)
    assert verdict.outcome == "failed"
    assert 1.0 < verdict.interval.low < means.mean() < verdict.interval.high == verdict.bound


def test_the_capital_does_not_depend_on_the_order_of_the_photos_nor_on_other_games():
    values = np.random.default_rng(1).normal(0.2, 3, (200, 3))
    together = Evidence(1.0, LARGEST_LOSS, -LARGEST_LOSS, 3)
    alone = Evidence(1.0, LARGEST_LOSS, -LARGEST_LOSS)
    for row in values:
        together.add(row)
        alone.add(row[1:2])
    assert together.p_within[1] == alone.p_within[0]
    assert together.p_over[1] == alone.p_over[0]
    loss = Loss(1.0, LARGEST_LOSS, values[:, 0])
    turned = Loss(1.0, LARGEST_LOSS, values[::-1, 0])
    bounds = [judge_when_stopped([each], seed=0)[0].bound for each in (loss, turned)]
    assert math.isclose(*bounds, rel_tol=0.2)


def _settings(limit: float) -> Settings:
    return Settings(DriftLimits(limit), seed=0, min_agreement=0.5, judge=judge_when_stopped)


def test_the_run_ends_with_the_photo_that_decides(plan, dataset, tmp_path):
    """Boxes cut by 4 pixels lose far more than a point."""
    enough = UntilDecided(plan, _settings(1.0))
    cut = run_plan(plan, dataset, tmp_path / "cut", enough=enough)
    assert 5 < len(cut.images) < len(dataset)
    first = Dataset("first", dataset.images[: len(cut.images)])
    whole = run_plan(plan, first, tmp_path / "whole")
    assert [r.objects for r in cut.images] == [r.objects for r in whole.images]
    resumed = run_plan(plan, dataset, tmp_path / "cut", enough=UntilDecided(plan, _settings(1.0)))
    assert [r.objects for r in resumed.images] == [r.objects for r in cut.images]
    assert resumed.resumed == len(cut.images)

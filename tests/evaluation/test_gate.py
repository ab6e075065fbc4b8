import numpy as np
import pytest
from scipy import stats

from sqsam_deploy.errors import UsageError
from sqsam_deploy.evaluation.bounds import LARGEST_LOSS
from sqsam_deploy.evaluation.gate import DriftLimits, Loss, holm, judge_all, parse_limits


def _loss(means: np.ndarray, limit: float = 1.0) -> Loss:
    return Loss(limit, LARGEST_LOSS, means)


def _photos(mean: float, spread: float, images: int) -> np.ndarray:
    values = np.random.default_rng(images).normal(size=images)
    return mean + spread * (values - values.mean()) / values.std(ddof=1)


@pytest.mark.parametrize(
    ("mean", "images", "outcome"),
    [
        (0.0, 268, "passed"),
        (-3.0, 268, "passed"),
        (0.9, 268, "undecided"),
        (1.1, 268, "undecided"),
        (2.0, 268, "failed"),
        (0.0, 63, "undecided"),
        (2.0, 9, "undecided"),
        (4.0, 12, "failed"),
    ],
)
def test_the_bound_passes_and_the_test_fails(mean, images, outcome):
    (verdict,) = judge_all([_loss(_photos(mean, 1.0, images))], seed=0)
    assert (verdict.outcome, verdict.images) == (outcome, images)
    assert (verdict.images_needed is not None) == (outcome == "undecided")


def test_photos_that_lost_nothing_pass_only_where_they_are_enough():
    """No loss in 63 photos still allows 5.7% bad ones."""
    few, many = judge_all([_loss(np.zeros(63)), _loss(np.zeros(230))], seed=0)
    assert (few.outcome, many.outcome) == ("undecided", "passed")
    assert few.images_needed == 220
    assert few.bound == pytest.approx(60 * 0.0569, abs=0.01)
    assert judge_all([_loss(np.zeros(63), limit=4.0)], seed=0)[0].outcome == "passed"


def test_the_number_of_images_comes_with_what_the_mean_s_error_makes_of_it():
    (verdict,) = judge_all([_loss(_photos(0.5, 4.0, 268))], seed=0)
    best, worst = verdict.images_range
    assert best < verdict.images_needed < worst
    (close,) = judge_all([_loss(_photos(0.95, 4.0, 268))], seed=0)
    assert close.images_needed > 10_000


def test_one_of_many_at_the_limit_does_not_fail_by_chance():
    """Twelve artifacts with three kinds of prompt, all at the limit: any fails in 2.5% of runs."""
    rng = np.random.default_rng(0)
    runs = rng.normal(1.0, 2.0, (400, 36, 60))
    p_values = stats.ttest_1samp(runs, 1.0, axis=2, alternative="greater").pvalue
    any_failed = np.mean([bool(holm(row, 0.025)) for row in p_values])
    assert any_failed <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / 400)
    assert np.mean((p_values < 0.025).any(1)) > 0.4


def test_holm_rejects_as_his_table_says():
    # 0.05/4, 0.05/3, 0.05/2: the third is over its level, so the fourth is kept too.
    assert holm([0.01, 0.030, 0.015, 0.04], 0.05) == {0, 2}
    assert holm([], 0.05) == set()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2", DriftLimits(2.0)),
        (0.5, DriftLimits(0.5)),
        ("1-click=2", DriftLimits(1.0, (("1-click", 2.0),))),
        ("0.5, 1-click=2", DriftLimits(0.5, (("1-click", 2.0),))),
    ],
)
def test_limits_by_prompt_kind(text, expected):
    assert parse_limits(text, ("box", "1-click"), default=1.0) == expected


@pytest.mark.parametrize("text", ["nan", "inf", "-1", "0", "60", "1e9", "", "box", "3-clicks=1"])
def test_what_is_no_limit_is_refused(text):
    with pytest.raises(UsageError, match="--max-drift"):
        parse_limits(text, ("box", "1-click"), default=1.0)

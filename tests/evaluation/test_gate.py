import math

import numpy as np
import pytest

from sqsam_deploy.evaluation.bootstrap import ImageSums, Interval, bootstrap_intervals
from sqsam_deploy.evaluation.gate import Verdict, judge, objects_needed


@pytest.mark.parametrize(
    ("interval", "outcome"),
    [
        (Interval(0.2, 0.1, 0.3), "passed"),
        (Interval(0.5, 0.0, 1.0), "passed"),
        (Interval(0.9, 0.7, 1.1), "undecided"),
        (Interval(1.2, 1.0, 1.4), "undecided"),
        (Interval(2.0, 1.01, 3.0), "failed"),
        (Interval(-3.0, -4.0, -2.0), "passed"),
    ],
)
def test_the_bounds_decide_not_the_mean(interval, outcome):
    assert judge(interval, 1.0, objects=100, images=50).outcome == outcome


def test_needed_objects_follow_the_square_of_the_width():
    # The upper bound is 0.4 above the mean and may be 0.2 above: four times the objects.
    assert objects_needed(Interval(0.8, 0.5, 1.2), 1.0, 100) == 400
    assert objects_needed(Interval(1.2, 0.8, 1.3), 1.0, 100) == 400
    assert objects_needed(Interval(1.0, 0.8, 1.3), 1.0, 100) is None


def test_the_number_said_to_be_needed_is_where_it_is_decided():
    def interval(count: int) -> Interval:
        values = np.random.default_rng(count).normal(size=(count, 1))
        values = 0.8 + (values - values.mean()) / values.std()
        return bootstrap_intervals(ImageSums(values, np.ones_like(values)))[0]

    verdict = judge(interval(50), 1.0, objects=50, images=50)
    # 1.96 / sqrt(n) = 0.2 at n = 96.
    assert verdict.outcome == "undecided"
    assert verdict.objects_needed == pytest.approx(96, rel=0.15)
    assert judge(interval(120), 1.0, objects=120, images=120).outcome == "passed"
    assert judge(interval(80), 1.0, objects=80, images=80).outcome == "undecided"


def test_few_images_decide_nothing_however_sure_they_look():
    verdict = judge(Interval(0.0, 0.0, 0.0), 1.0, objects=30, images=5)
    assert verdict == Verdict("undecided", math.ceil(30 * 10 / 5))

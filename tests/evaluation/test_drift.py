import numpy as np
import pytest

from sqsam_deploy.errors import DataError
from sqsam_deploy.evaluation.drift import group_drifts, pair_results
from sqsam_deploy.evaluation.results import ObjectResult


def row(
    image: str, item: str, kind: str, iou: float, *, prompt="p", truth="t", area=5000.0, same=None
) -> ObjectResult:
    same_mask = iou if same is None else same
    return ObjectResult(
        "x", image, item, "cat", area, kind, prompt, truth, iou, same_mask, 0, 0.5, None, None
    )


def test_drift_is_first_minus_second_of_the_same_object_and_prompt():
    before = [row("1", "a", "box", 0.9), row("2", "b", "box", 0.8)]
    after = [row("2", "b", "box", 0.7), row("1", "a", "box", 0.95)]
    pairs = pair_results(before, after)
    assert [pair.drift for pair in pairs] == pytest.approx([10, -5])


def test_groups_are_overall_by_kind_by_size_and_by_both():
    before = [
        row("1", "a", "box", 0.9, area=100),
        row("2", "b", "box", 0.8, area=10_000),
        row("2", "b", "1-click", 0.6, area=10_000),
    ]
    after = [
        row("1", "a", "box", 0.8, area=100),
        row("2", "b", "box", 0.8, area=10_000),
        row("2", "b", "1-click", 0.4, area=10_000),
    ]
    groups = group_drifts(pair_results(before, after), ["box", "1-click"])
    means = {(g.kind, g.size): g.drift.mean for g in groups}
    assert means == pytest.approx(
        {
            (None, None): 10,
            (None, "small"): 10,
            (None, "large"): 10,
            ("box", None): 5,
            ("box", "small"): 10,
            ("box", "large"): 0,
            ("1-click", None): 20,
            ("1-click", "large"): 20,
        }
    )
    whole = groups[0]
    assert (whole.kind, whole.size) == (None, None)
    assert (whole.objects, whole.pairs) == (2, 3)
    assert whole.miou_before == pytest.approx(100 * (0.9 + 0.8 + 0.6) / 3)
    assert whole.miou_after == pytest.approx(100 * (0.8 + 0.8 + 0.4) / 3)


def test_pairing_removes_what_objects_differ_by():
    """Objects between 0 and 1 IoU, all 0.01 worse: the drift is known far better than the mIoU."""
    rng = np.random.default_rng(0)
    ious = rng.uniform(0.2, 1.0, 80)
    before = [row(str(i), str(i), "box", iou) for i, iou in enumerate(ious)]
    after = [row(str(i), str(i), "box", iou - 0.01) for i, iou in enumerate(ious)]
    drift = group_drifts(pair_results(before, after), ["box"])[0].drift
    assert drift.low == pytest.approx(1, abs=1e-9)
    assert drift.high == pytest.approx(1, abs=1e-9)


def test_a_drift_is_a_changed_mask_and_another_choice():
    """The float's first mask has 0.9, the artifact's same one 0.8, its own first one 0.5."""
    (pair,) = pair_results([row("1", "a", "box", 0.9)], [row("1", "a", "box", 0.5, same=0.8)])
    assert (pair.mask_drift, pair.choice_drift) == pytest.approx((10, 30))
    assert pair.drift == pytest.approx(pair.mask_drift + pair.choice_drift)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"prompt": "q"}, r"object a was asked with another box prompt.*--seed"),
        ({"truth": "u"}, "the photo or the mask of object a changed"),
    ],
)
def test_runs_that_asked_differently_are_not_compared(changed, message):
    with pytest.raises(DataError, match=message):
        pair_results([row("1", "a", "box", 0.9)], [row("1", "a", "box", 0.9, **changed)])


@pytest.mark.parametrize("fewer", [0, 1])
def test_a_run_on_other_objects_is_not_compared(fewer):
    runs = [[row("1", "a", "box", 0.9), row("1", "b", "box", 0.9)], [row("1", "a", "box", 0.9)]]
    with pytest.raises(DataError, match=r"object b with the prompt box.*--count"):
        pair_results(runs[fewer], runs[1 - fewer])

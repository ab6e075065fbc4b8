"""Agreement with the float network, on answers that are made up."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from sqsam_deploy.errors import GateError
from sqsam_deploy.networks.agreement import (
    LARGEST_IOU_DIFFERENCE,
    LEAST_SNR_DB,
    Probe,
    PromptComparison,
)
from sqsam_deploy.runtimes.session import RawPrediction

Logits = NDArray[np.float32]


def _logits(inside: Logits) -> Logits:
    """Masks of one probe, the first of which is predicted to be the best."""
    return np.stack([np.where(inside, 6.0, -6.0), np.full(inside.shape, -6.0)]).astype(np.float32)


class _Session:
    """Answers with the expected logits, changed."""

    def __init__(self, change: Callable[[Logits], Logits], iou_shift: float) -> None:
        self._change, self._iou_shift = change, iou_shift

    def run(self, image: Logits, prompt: object) -> RawPrediction:
        ious = np.array([0.9, 0.1 + self._iou_shift], np.float32)
        return RawPrediction(self._change(image), ious)


def _measure(
    change: Callable[[Logits], Logits], *masks: NDArray[np.bool_], iou_shift: float = 0
) -> float:
    iou = np.array([0.9, 0.1], np.float32)
    # The image stands for the logits that the session is to change.
    probes = [
        Probe(None, None, _logits(m), None, RawPrediction(_logits(m), iou))  # type: ignore[arg-type]
        for m in masks
    ]
    session: Any = _Session(change, iou_shift)
    measured = PromptComparison(probes, images=1).measure(session, limit=0.9, executor="none")
    return measured.agreement.mean_mask_iou


def _square(side: int) -> NDArray[np.bool_]:
    mask = np.zeros((64, 64), bool)
    mask[:side, :side] = True
    return mask


def test_a_nearly_empty_mask_counts_as_little_as_it_shows() -> None:
    def two_more_columns(logits: Logits) -> Logits:
        """A pixel that grows to three, and a square of 40 that stays."""
        changed = logits.copy()
        if np.count_nonzero(changed[0] > 0) == 1:
            changed[0, 0, 1:3] = 0.01
        return changed

    found = _measure(two_more_columns, _square(40), _square(1))
    assert found == pytest.approx((1600 + 1) / (1600 + 3))


def test_masks_that_are_empty_on_both_sides_agree() -> None:
    assert _measure(lambda logits: logits, np.zeros((64, 64), bool)) == 1


@pytest.mark.parametrize("decibel", [LEAST_SNR_DB + 1, LEAST_SNR_DB - 1])
def test_logits_are_held_to_the_limit(decibel: float) -> None:
    share = 10 ** (-decibel / 20)
    if decibel > LEAST_SNR_DB:
        assert _measure(lambda logits: logits * (1 + share), _square(40)) == 1
        return
    with pytest.raises(GateError, match=r"19\.0 dB"):
        _measure(lambda logits: logits * (1 + share), _square(40))


def test_ranges_that_cut_off_large_logits_are_found_although_the_masks_are_the_same() -> None:
    with pytest.raises(GateError, match="calibration"):
        _measure(lambda logits: np.clip(logits, -2, 2), _square(40), _square(20))


def test_one_wrong_answer_is_found_among_many_right_ones() -> None:
    """One of 31 prompts with 10 dB leaves 10 lg(31 / 0.1) = 25 dB over all of them."""

    def one_wrong(logits: Logits) -> Logits:
        wrong = np.count_nonzero(logits[0] > 0) == 9
        return logits * (1 + 10 ** (-10 / 20)) if wrong else logits

    masks = [_square(40)] * 30
    assert _measure(one_wrong, *masks) == 1
    with pytest.raises(GateError, match=r"10\.0 dB"):
        _measure(one_wrong, *masks, _square(3))


def test_a_predicted_iou_that_would_choose_another_mask_is_found() -> None:
    limit = LARGEST_IOU_DIFFERENCE
    assert _measure(lambda logits: logits, _square(40), iou_shift=limit - 0.01) == 1
    with pytest.raises(GateError, match="predicted IoU"):
        _measure(lambda logits: logits, _square(40), iou_shift=limit + 0.01)

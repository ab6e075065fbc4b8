"""The measures against those of PySODMetrics 1.4.2, which the field's numbers come from."""

import numpy as np
import pytest
from scipy import ndimage

from sqsam_deploy.saliency.measures import Scores

#: MAE, max F, weighted F, S, max E, mean E of each of `_made`'s maps by PySODMetrics 1.4.2. (The
#: package cannot be installed beside this one: it wants numpy before 2.3.5.)
PUBLISHED = [
    [0.180408, 0.947604, 0.563507, 0.820865, 0.977403, 0.664794],
    [0.235686, 0.968733, 0.751053, 0.821915, 0.971136, 0.655344],
    [0.186678, 0.96762, 0.720466, 0.817757, 0.96644, 0.722068],
    [0.130299, 0.96475, 0.551844, 0.715646, 0.98572, 0.744516],
    [0.215279, 0.965081, 0.660408, 0.820153, 0.966135, 0.66588],
    [0.212057, 0.946059, 0.680475, 0.824465, 0.959316, 0.671226],
]
#: The same over all six.
TOGETHER = [0.193401, 0.957964, 0.654626, 0.803467, 0.970301, 0.687305]


def _made() -> list[tuple[np.ndarray, np.ndarray]]:
    rng, made = np.random.default_rng(0), []
    for _ in PUBLISHED:
        size = int(rng.integers(30, 60)), int(rng.integers(30, 60))
        truth = ndimage.gaussian_filter(rng.normal(size=size), 5) > 0.02
        blurred = ndimage.gaussian_filter(truth.astype(float), 3)
        noise = ndimage.gaussian_filter(rng.random(size), 1)
        saliency = np.clip(blurred * 0.7 + 0.3 * noise, 0, 1)
        made.append((np.rint(saliency * 255) / 255, truth))
    return made


def _values(*pairs: tuple[np.ndarray, np.ndarray]) -> list[float]:
    scores = Scores()
    for saliency, truth in pairs:
        scores.add(saliency, truth)
    found = scores.result()
    assert found.images == len(pairs)
    return [found.mae, found.max_f, found.weighted_f, found.s, found.max_e, found.mean_e]


@pytest.mark.parametrize("number", range(len(PUBLISHED)))
def test_a_map_has_the_published_measures(number):
    assert _values(_made()[number]) == pytest.approx(PUBLISHED[number], abs=2e-6)


def test_means_over_photos_are_taken_of_the_curves():
    assert _values(*_made()) == pytest.approx(TOGETHER, abs=2e-6)


def test_the_truth_itself_is_best_and_its_opposite_worst():
    truth = _made()[0][1]
    # The E-measure divides by one pixel less than there are.
    best = [0, 1, 1, 1, truth.size / (truth.size - 1)]
    assert _values((truth.astype(float), truth))[:5] == pytest.approx(best, abs=1e-6)
    mae, _, weighted, s, *_ = _values((1.0 - truth, truth))
    assert mae == 1
    assert weighted < 0.2
    assert s < 0.2


@pytest.mark.parametrize("salient", [False, True])
def test_photos_with_nothing_or_all_salient_are_measured(salient):
    saliency, truth = _made()[0]
    mae, max_f, weighted, s, max_e, mean_e = _values((saliency, np.full_like(truth, salient)))
    assert s == pytest.approx(1 - mae)
    assert (max_f > 0.99) == (weighted > 0) == salient
    assert max_e == pytest.approx(1, abs=1e-3)
    assert 0 < mean_e < 1

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image, ImageCms

from sqsam_deploy.errors import DataError
from sqsam_deploy.model.config import NANO
from sqsam_deploy.model.network import SqueezeSAM
from sqsam_deploy.model.saliency import SALIENCY, SaliencyConfig, SaliencyNet
from sqsam_deploy.training.classical_saliency import (
    frequency_tuned,
    spectral_residual,
    srgb_to_lab,
)
from sqsam_deploy.training.distributed import Processes
from sqsam_deploy.training.readers import MaskedImage, SkipList, find_items
from sqsam_deploy.training.recipe import RECIPES, SaliencyRecipe
from sqsam_deploy.training.saliency_metrics import (
    max_f_measure,
    network_map,
    precision_recall,
    saliency_scores,
)
from sqsam_deploy.training.salient import SaliencyTask, from_prompted
from sqsam_deploy.training.session import DataOptions, Reports, Start, open_task
from sqsam_deploy.training.trainer import warm_start

CPU = torch.device("cpu")


def test_network_fits_in_two_megabytes_at_half_precision() -> None:
    state = SaliencyNet(SALIENCY).half().state_dict().values()
    # The file's header takes another 20 kB.
    assert sum(value.numel() * value.element_size() for value in state) <= 1_980_000


def test_network_gives_one_map_of_half_the_inputs_side() -> None:
    out = SaliencyNet().eval()(torch.zeros(2, 3, 256, 256))
    assert out.shape == (2, 1, SALIENCY.map_size, SALIENCY.map_size) == (2, 1, 128, 128)


def test_precision_and_recall_follow_their_definition() -> None:
    rng = np.random.default_rng(0)
    predicted = (rng.integers(0, 256, (20, 20)) / 255).astype(np.float32)
    truth = rng.random((20, 20)) < 0.3
    precision, recall = precision_recall(predicted, truth)
    for threshold in (0, 1, 100, 255):
        marked = np.rint(predicted * 255) >= threshold
        hits = (marked & truth).sum()
        assert precision[threshold] == pytest.approx(hits / max(marked.sum(), 1))
        assert recall[threshold] == pytest.approx(hits / truth.sum())


def test_f_measure_weighs_precision_with_three_tenths() -> None:
    f = max_f_measure(np.array([0.5, 0.8]), np.array([1.0, 0.5]))
    assert f == pytest.approx(1.3 * 0.8 * 0.5 / (0.3 * 0.8 + 0.5))


def test_perfect_and_empty_maps(photo_folder: Path) -> None:
    photos = _ecssd(photo_folder)
    truths = iter([photo.masks.any(axis=0).astype(np.float32) for photo in photos])
    perfect = saliency_scores(lambda image: next(truths), photos)
    assert (perfect.mae, perfect.max_f) == (0, pytest.approx(1))
    empty = saliency_scores(lambda image: np.zeros(image.shape[:2], np.float32), photos)
    assert empty.mae == pytest.approx(np.mean([p.masks.any(axis=0).mean() for p in photos]))


def test_lab_agrees_with_littlecms() -> None:
    colors = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    srgb, lab = ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB")
    transform = ImageCms.buildTransform(srgb, lab, "RGB", "LAB")
    converted = ImageCms.applyTransform(Image.fromarray(colors), transform)
    known = np.asarray(converted).astype(np.float64)
    signed = np.where(known[..., 1:] > 127, known[..., 1:] - 256, known[..., 1:])
    ours = srgb_to_lab(colors)
    # LittleCMS adapts D65 to D50, which moves a* and b* by a few units at most.
    assert np.abs(ours[..., 0] - known[..., 0] / 2.55).max() < 3
    assert np.abs(ours[..., 1:] - signed).mean() < 4


@pytest.mark.parametrize("method", [spectral_residual, frequency_tuned])
def test_classical_methods_beat_their_own_inverse(photo_folder: Path, method: object) -> None:
    assert callable(method)
    photos = _ecssd(photo_folder)
    found = saliency_scores(method, photos)
    inverse = saliency_scores(lambda image: 1 - method(image), photos)
    assert found.max_f > inverse.max_f and found.mae < inverse.mae


def test_odd_patch_stands_out_for_the_frequency_tuned_method() -> None:
    image = np.full((40, 60, 3), 90, np.uint8)
    image[10:20, 30:40] = (200, 30, 30)
    found = frequency_tuned(image)
    assert found[12:18, 32:38].min() > 0.9 and found[30:, :20].max() < 0.1


def test_encoder_of_a_prompted_network_without_prompt_is_taken_over() -> None:
    torch.manual_seed(0)
    prompted, saliency = SqueezeSAM(NANO).eval(), SaliencyNet(SALIENCY).eval()
    weights = from_prompted(prompted.state_dict(), NANO, SALIENCY)
    warm_start(saliency, weights)
    image = torch.rand(1, 3, 256, 256) * 255
    maps = torch.zeros(1, 2, 256, 256)
    maps[:, 1] = 255
    pixels = (torch.cat([image, maps], 1) / 255 - prompted.pixel_mean) / prompted.pixel_std
    # The deepest level has fewer channels than the prompted network's.
    levels = len(SALIENCY.widths) - 1
    expected = prompted.encoder(pixels)[:levels]
    actual = saliency.encoder((image / 255 - saliency.pixel_mean) / saliency.pixel_std)[:levels]
    for a, b in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    fine = prompted.state_dict()["decoder.levels.6.conv.1.conv.weight"]
    assert torch.equal(saliency.state_dict()["decoder.4.conv.1.conv.weight"], fine)


def test_task_trains_on_salient_sources_alone(photo_folder: Path, tmp_path: Path) -> None:
    plan, alone = _salient_sources(), Processes(0, 1, CPU)
    task = open_task(Start(plan), DataOptions(photo_folder, tmp_path, 0.01), alone, Reports())
    assert isinstance(task, SaliencyTask)
    assert list(task.describe_data()) == ["ECSSD"]
    batch = task.batches(alone)[0]
    assert (batch.image.shape, batch.target.shape) == ((32, 3, 256, 256), (32, 1, 128, 128))
    assert 0.02 < batch.target.float().mean() < 0.8
    again = task.batches(alone)[0]
    assert all(torch.equal(a, b) for a, b in zip(batch, again, strict=True))
    scores = task.scores(SaliencyNet(SALIENCY), CPU)
    assert set(scores) == {"val_mae", "val_max_f"}


def test_network_map_has_the_photos_size() -> None:
    network = SaliencyNet(SaliencyConfig(widths=(4, 8, 8)))
    predict = network_map(network, SALIENCY, CPU)
    found = predict(np.zeros((30, 50, 3), np.uint8))
    assert found.shape == (30, 50) and 0 <= found.min() <= found.max() <= 1


def test_data_without_salient_photos_is_an_error(photo_folder: Path, tmp_path: Path) -> None:
    import json

    copy = tmp_path / "photos"
    copy.mkdir()
    entries = json.loads((photo_folder / "index.json").read_text())
    coco = [entry for entry in entries if entry["dataset"] != "ECSSD"]
    for entry in coco:
        for name in [entry["image"], *entry["masks"]]:
            (copy / name).symlink_to(photo_folder / name)
    (copy / "index.json").write_text(json.dumps(coco))
    options = DataOptions(copy, tmp_path / "cache")
    with pytest.raises(DataError, match="cannot be split"):
        open_task(Start(_salient_sources()), options, Processes(0, 1, CPU), Reports())


def _salient_sources() -> SaliencyRecipe:
    plan = RECIPES["saliency"]
    assert isinstance(plan, SaliencyRecipe)
    return replace(plan, source_weights=(("COCO-2017 instances", 0.0),))


def _ecssd(folder: Path) -> list[MaskedImage]:
    read = [item.read(SkipList()) for item in find_items(folder)]
    return [photo for photo in read if photo is not None and photo.source == "ECSSD"]

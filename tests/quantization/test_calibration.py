import dataclasses
import shutil
from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest

from sqsam_deploy.checkpoint import load_checkpoint
from sqsam_deploy.datasets import Dataset, bundled_dataset, load_annotated, open_photos
from sqsam_deploy.errors import DataError
from sqsam_deploy.model.config import RELEASE_2023_12
from sqsam_deploy.networks.saliency import TorchSaliency, load_saliency
from sqsam_deploy.networks.segmentation import SegmentationNetwork
from sqsam_deploy.prompts import Prompt
from sqsam_deploy.quantization import build_calibration
from sqsam_deploy.quantization.prompting import PROMPT_KINDS, draw_prompt
from tests.tiny_network import TINY


def test_one_seed_gives_one_set_and_another_seed_another() -> None:
    dataset = bundled_dataset("calibration")
    first, again, other = (build_calibration(dataset, TINY, size=3, seed=s) for s in (1, 1, 2))
    for a, b in zip(first, again, strict=True):
        assert all(x.equal(y) for x, y in zip(a, b, strict=True))
    assert first.entry == again.entry
    assert first.images_sha256 != other.images_sha256


def test_prompts_of_every_kind_are_drawn() -> None:
    calibration = build_calibration(bundled_dataset("calibration"), TINY, size=5)
    labels = [tuple(sample[3].flatten().tolist()) for sample in calibration]
    clicks = [sum(v in (0, 1) for v in sample) for sample in labels]
    boxes = [2 in sample for sample in labels]
    kinds = {(min(c, 2), b) for c, b in zip(clicks, boxes, strict=True)}
    assert {(1, False), (2, False), (0, True), (0, False)} <= kinds
    assert any(c and b for c, b in zip(clicks, boxes, strict=True))


def test_clicks_lie_on_the_object_and_boxes_near_it() -> None:
    mask = np.zeros((40, 60), bool)
    mask[10:20, 30:50] = True
    rng = np.random.default_rng(0)
    for kind in range(PROMPT_KINDS * 20):
        prompt = draw_prompt(mask, kind, rng)
        for x, y in prompt.point_coords.astype(int):
            assert mask[y, x]
        if prompt.box is not None:
            # Two standard deviations of 10% of a 20x10 object.
            assert np.abs(np.array(prompt.box) - (30, 10, 49, 19)).max() <= 4.0


def test_inputs_are_whole_pixels_of_the_preset() -> None:
    image, maps, coords, labels = next(
        iter(build_calibration(bundled_dataset("calibration"), TINY, size=1))
    )
    assert image.shape == (1, 3, 32, 32) and maps.shape == (1, 2, 32, 32)
    assert coords.shape == (1, 8, 2) and labels.shape == (1, 8)
    assert image.equal(image.round()) and image.min() >= 0 and image.max() <= 255
    assert set(maps.unique().tolist()) <= {0.0, 255.0}


def test_presets_without_late_fusion_take_two_inputs() -> None:
    config = dataclasses.replace(RELEASE_2023_12, image_size=32)
    assert len(next(iter(build_calibration(bundled_dataset("calibration"), config, size=1)))) == 2


def test_an_empty_dataset_is_refused() -> None:
    with pytest.raises(DataError, match="no images to calibrate on"):
        build_calibration(Dataset("nothing", ()), TINY)


@pytest.fixture
def my_photos(tmp_path: Path) -> Path:
    """Four photos of the bundled sample without masks, one of them in a subfolder, one damaged."""
    folder = tmp_path / "my-photos"
    (folder / "trip").mkdir(parents=True)
    paths = [record.path for record in islice(bundled_dataset("sample"), 4)]
    for number, path in enumerate(paths):
        shutil.copyfile(path, folder / ("trip" if number == 1 else "") / path.name)
    (folder / "damaged.jpg").write_bytes(paths[0].read_bytes()[:2000])
    (folder / "notes.txt").write_text("no photo")
    return folder


def test_a_folder_of_photos_gives_clicks_on_what_is_salient_and_no_prompt(my_photos, capsys):
    network = SegmentationNetwork(load_checkpoint("nano"))
    calibration = network.calibration(open_photos(my_photos), seed=0)
    assert calibration.entry.images == 4
    assert calibration.entry.prompt_sources == {"saliency": 4}
    labels = [sample[3].flatten().tolist() for sample in calibration.samples]
    assert [sum(label == 1 for label in row) for row in labels] == [1, 0, 2, 0, 3, 0, 4, 0]
    told = capsys.readouterr().err
    assert "1 photo left out" in told
    assert "damaged.jpg" in told
    assert "4 of 4 photos have no objects" in told


def test_clicks_on_photos_without_masks_lie_on_their_objects():
    """The bundled network was trained on other photos; most of its first clicks hit an object."""
    records = [r for r in bundled_dataset("sample") if len(r.objects) == 1][:8]
    hits = 0
    for record in records:
        (kept,) = (mask for mask in load_annotated(record).masks)
        clicks = TorchSaliency(load_saliency().model).clicks(load_annotated(record).image)
        x, y = clicks.scaled_to(kept.shape)[0].round().astype(int)
        hits += bool(kept[y, x])
    assert hits > len(records) / 2


def test_objects_come_before_saliency():
    dataset = bundled_dataset("calibration")
    bare = replace(dataset.images[0], objects=())
    mixed = replace(dataset, images=(bare, *dataset.images[1:3]))
    points: list[tuple[int, ...]] = []

    def salient(image):
        points.append(image.shape)
        return Prompt()

    entry = build_calibration(mixed, TINY, salient=salient).entry
    assert entry.prompt_sources == {"saliency": 1, "objects": 2}
    assert "3 images" in entry.sentence
    assert "1 from saliency and 2 from objects" in entry.sentence
    assert points == [(bare.height, bare.width, 3)]


def test_a_folder_without_photos_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"holds no photo .*\.jpg"):
        open_photos(tmp_path)


def test_a_folder_with_masks_keeps_them(tmp_path):
    folder = bundled_dataset("calibration").images[0].path.parent
    assert open_photos(folder).object_count == bundled_dataset("calibration").object_count

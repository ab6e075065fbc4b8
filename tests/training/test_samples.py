import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sqsam_deploy.datasets import bundled_dataset
from sqsam_deploy.errors import DataError
from sqsam_deploy.model.config import NANO
from sqsam_deploy.training.prepared import PreparedData, prepare
from sqsam_deploy.training.readers import find_items
from sqsam_deploy.training.recipe import RECIPES, PromptMix, TrainingRecipe
from sqsam_deploy.training.samples import BatchDataset, SampleSource, image_shares
from tests.training.conftest import write_folder


@pytest.fixture(scope="module")
def data(photo_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> PreparedData:
    return prepare(find_items(photo_folder), tmp_path_factory.mktemp("prepared"), 512)


@pytest.fixture
def recipe() -> TrainingRecipe:
    plan = RECIPES["nano"]
    assert isinstance(plan, TrainingRecipe)
    return replace(plan, optimization=replace(plan.optimization, batch_size=8))


def _dataset(
    data: PreparedData, recipe: TrainingRecipe, rank: int = 0, world: int = 1
) -> BatchDataset:
    source = SampleSource(data, list(range(len(data))), recipe, NANO)
    return BatchDataset(source, recipe, rank, world)


def test_batch_has_the_networks_shapes(data: PreparedData, recipe: TrainingRecipe) -> None:
    batch = _dataset(data, recipe)[0]
    shapes = [tuple(tensor.shape) for tensor in batch]
    assert shapes == [(8, 3, 256, 256), (8, 2, 256, 256), (8, 8, 2), (8, 8), (8, 128, 128)]
    assert batch.image.is_contiguous(memory_format=torch.channels_last)
    assert set(batch.target.unique().tolist()) == {0, 1}


def test_batch_is_a_function_of_its_step(data: PreparedData, recipe: TrainingRecipe) -> None:
    first, again, other = _dataset(data, recipe), _dataset(data, recipe), _dataset(data, recipe)
    other[0]
    for a, b in zip(first[3], again[3], strict=True):
        assert torch.equal(a, b)
    assert torch.equal(other[3].image, first[3].image)
    assert not torch.equal(first[3].image, first[4].image)


@pytest.mark.parametrize("objects_per_image", [1, 2])
def test_two_processes_draw_what_one_would(
    data: PreparedData, recipe: TrainingRecipe, objects_per_image: int
) -> None:
    recipe = replace(recipe, objects_per_image=objects_per_image)
    whole = _dataset(data, recipe)[2]
    parts = [_dataset(data, recipe, rank, 2)[2] for rank in range(2)]
    for tensor, *halves in zip(whole, *parts, strict=True):
        assert torch.equal(tensor, torch.cat(halves))


def test_clicks_fall_on_the_target(data: PreparedData, recipe: TrainingRecipe) -> None:
    mix = PromptMix(1.0, 0.0, 0.0, 0.0, nothing=0.0, background=0.0)
    dataset = _dataset(data, replace(recipe, prompts=mix))
    hits = []
    for step in range(6):
        batch = dataset[step]
        columns, rows = (batch.point_coords[:, 0] / 2).floor().clamp(max=127).long().T
        hits += batch.target[torch.arange(8), rows, columns].tolist()
        # The disc is drawn where the point is.
        assert (batch.prompt_maps[:, 0].amax(dim=(1, 2)) == 255).all()
    # Clicks on the rim of a mask can fall on a low-resolution pixel that is mostly background.
    assert np.mean(hits) > 0.9


def test_without_a_prompt_the_target_is_the_largest_object(
    data: PreparedData, recipe: TrainingRecipe
) -> None:
    plain = replace(recipe.augmentation, cropping=0.0, flipping=0.0, merging=0.0, pasting=0.0)
    recipe = replace(recipe, prompts=PromptMix(nothing=1.0), augmentation=plain)
    batch = _dataset(data, recipe)[0]
    assert (batch.point_labels == -1).all()
    assert (batch.prompt_maps[:, 1] == 255).all() and (batch.prompt_maps[:, 0] == 0).all()
    largest = [
        max(data.mask(n, i).mean() for i in range(len(data.images[n].nested)))
        for n in range(len(data))
    ]
    for target in batch.target.float().mean(dim=(1, 2)).tolist():
        assert min(abs(target - area) for area in largest) < 0.01


def test_outliers_lie_on_none_of_the_photos_objects(
    data: PreparedData, recipe: TrainingRecipe
) -> None:
    """Through the whole way of a sample: the photo, a mirrored one, one whose parts are dropped."""
    mix = PromptMix(0.0, 1.0, 0.0, 0.0, nothing=0.0, outlier=1.0, background=0.0)
    plain = replace(recipe.augmentation, cropping=0.0, pasting=0.0, merging=1.0)
    recipe = replace(recipe, prompts=mix, augmentation=plain, objects_per_image=4)
    several = [n for n in range(len(data)) if len(data.images[n].nested) > 2]
    assert several
    seen = 0
    for number in several:
        objects = data.masked_image(number).masks.any(axis=0)
        np.testing.assert_array_equal(data.background(number), 1 - objects.astype(np.uint8))
        height, width = objects.shape
        source = SampleSource(data, [number], recipe, NANO)
        for sample in source.scene_samples(number):
            mirrored = _is_mirrored(sample.image, data.image(number))
            x, y = sample.prompt.point_coords[sample.prompt.point_labels == 1][-1]
            column = int(np.clip(np.rint(x * width / NANO.image_size), 0, width - 1))
            row = int(np.clip(np.rint(y * height / NANO.image_size), 0, height - 1))
            assert not objects[row, width - 1 - column if mirrored else column]
            seen += 1
    assert seen >= 8


def _is_mirrored(square: np.ndarray, photo: np.ndarray) -> bool:
    """Whether a sample shows its photo with left and right exchanged."""
    small = np.asarray(Image.fromarray(photo).resize((256, 256))).astype(float)
    straight, turned = (np.abs(square - side).mean() for side in (small, small[:, ::-1]))
    return bool(turned < straight)


def test_objects_of_one_image_share_it(data: PreparedData, recipe: TrainingRecipe) -> None:
    batch = _dataset(data, replace(recipe, objects_per_image=4))[0]
    assert torch.equal(batch.image[0], batch.image[3])
    assert not torch.equal(batch.image[0], batch.image[4])


def test_named_sources_get_their_share_and_the_others_their_number() -> None:
    sources = ["a"] * 1 + ["b"] * 3 + ["c"] * 4
    shares = image_shares(sources, (("a", 0.5), ("missing", 0.3)))
    # a 0.5, b 3/8, c 4/8, scaled by 1 / 1.375.
    expected = np.array([0.5] + [3 / 8 / 3] * 3 + [4 / 8 / 4] * 4) / 1.375
    np.testing.assert_allclose(shares, expected)


def test_no_weight_for_any_source_is_an_error() -> None:
    with pytest.raises(DataError, match="no weight to any data source"):
        image_shares(["a", "a"], (("a", 0.0),))


def test_small_objects_are_drawn_too(recipe: TrainingRecipe, tmp_path: Path) -> None:
    source = next(iter(bundled_dataset("sample"))).path.parent
    index = json.loads((source / "index.json").read_text())
    entries = sorted(index, key=lambda e: min(item["area_frac"] for item in e["objects"]))[:4]
    for entry in entries:
        entry["masks"] = [item["file"] for item in entry["objects"]]
    (tmp_path / "photos").mkdir()
    write_folder(tmp_path / "photos", source, entries)
    data = prepare(find_items(tmp_path / "photos"), tmp_path / "prepared", 512)
    dataset = _dataset(data, recipe)
    areas = torch.cat([dataset[step].target.sum(dim=(1, 2)) for step in range(12)])
    assert (areas < 0.02 * 128**2).float().mean() > 0.05
    assert (areas >= 8).all()

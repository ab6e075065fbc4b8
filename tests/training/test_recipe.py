"""Recipes as data: the bundled ones, a file of one's own, and what can be left out."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as coco_mask

from sqsam_deploy.errors import UsageError
from sqsam_deploy.model.config import PAPER
from sqsam_deploy.training.distributed import Processes
from sqsam_deploy.training.prepared import prepare
from sqsam_deploy.training.prompted import PromptedTask
from sqsam_deploy.training.readers import SkipList, find_items
from sqsam_deploy.training.recipe import (
    AUGMENTATIONS,
    RECIPES,
    TrainingRecipe,
    read_recipe,
    recipe,
    without,
)
from sqsam_deploy.training.request import TrainRequest
from sqsam_deploy.training.samples import SampleSource
from sqsam_deploy.training.session import plan_stages


def _file(folder: Path, text: str) -> Path:
    path = folder / "mine.toml"
    path.write_text(text)
    return path


def test_a_file_changes_the_recipe_that_it_is_based_on(tmp_path: Path) -> None:
    path = _file(
        tmp_path,
        'base = "nano"\nphoto_side = 300\n[optimization]\nsamples = 64\n[prompts]\nbox = 0.5',
    )
    mine, nano = recipe(str(path)), RECIPES["nano"]
    assert isinstance(mine, TrainingRecipe) and isinstance(nano, TrainingRecipe)
    assert (mine.photo_side, mine.prompts.box, mine.optimization.samples) == (300, 0.5, 64)
    restored = replace(
        mine,
        photo_side=nano.photo_side,
        prompts=nano.prompts,
        optimization=replace(mine.optimization, samples=nano.optimization.samples),
    )
    assert restored == nano


def test_a_file_of_an_earlier_version_may_spell_color_and_gray_otherwise(tmp_path: Path) -> None:
    found = [
        recipe(str(_file(tmp_path, f'base = "nano"\n[augmentation]\n{color} = 0.7\n{gray} = 0.2')))
        for color, gray in (("colour", "grey"), ("color", "gray"))
    ]
    assert found[0] == found[1]
    assert (found[0].augmentation.color, found[0].augmentation.gray) == (0.7, 0.2)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('base = "nanu"', "nanu"),
        ('base = "nano"\nphoto_sides = 3', "photo_sides"),
        ('base = "nano"\n[augmentation]\nmerge = 1', r"augmentation\.merge"),
        ('base = "nano"\n[optimization]\nsamples = "many"', r"optimization\.samples"),
        ('preset = "nano"', "optimization"),
        ("base = ", "TOML"),
    ],
)
def test_a_wrong_key_or_value_is_named(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(UsageError, match=named):
        read_recipe(_file(tmp_path, text))


def test_every_augmentation_can_be_left_out_by_itself() -> None:
    full = RECIPES["salient-squeezesam"]
    assert isinstance(full, TrainingRecipe)
    full = replace(
        full, augmentation=replace(full.augmentation, pasting=1, flipping=1, color=1, gray=1)
    )
    for name, part in AUGMENTATIONS.items():
        changed = without(full, name)
        assert getattr(getattr(changed, part), name) == 0
        kept = replace(getattr(changed, part), **{name: getattr(getattr(full, part), name)})
        assert replace(changed, **{part: kept}) == full
    with pytest.raises(UsageError, match=r"--without: .*'merge'"):
        without(full, "merging,merge")


def test_salient_squeezesam_without_its_augmentations_is_squeezesam() -> None:
    request = TrainRequest(
        Path("data"), Path("out"), preset="salient-squeezesam", without="merging,outlier,cropping"
    )
    assert request.recipe() == RECIPES["squeezesam"]


def test_the_papers_batch_is_four_images_of_eight_masks_on_each_of_64_gpus(
    photo_folder: Path, tmp_path: Path
) -> None:
    plan = RECIPES["squeezesam"]
    assert isinstance(plan, TrainingRecipe)
    data = prepare(find_items(photo_folder), tmp_path, 64)
    small = replace(plan, preset="nano", photo_side=64)
    task = PromptedTask(small, data, 0.1, 1)
    one_of_64 = task.batches(Processes(rank=3, world_size=64, device=None))[0]
    assert len(one_of_64.image) == 4 * 8
    images = one_of_64.image.reshape(4, 8, -1)
    assert (images == images[:, :1]).all()
    assert (one_of_64.point_labels >= -1).all()
    # 10 epochs of 11 million images.
    steps = plan.optimization.samples / plan.optimization.batch_size
    assert steps * 64 * 4 == pytest.approx(10 * 11e6)


def test_photos_are_not_changed_where_sam_changes_none(photo_folder: Path, tmp_path: Path) -> None:
    plan = RECIPES["squeezesam"]
    assert isinstance(plan, TrainingRecipe)
    data = prepare(find_items(photo_folder), tmp_path, 256)
    source = SampleSource(data, [0], replace(plan, preset="nano"), replace(PAPER, image_size=64))
    expected = np.asarray(
        Image.fromarray(np.asarray(data.image(0))).resize((64, 64), Image.Resampling.BILINEAR)
    )
    for number in range(3):
        for sample in source.scene_samples(number):
            assert np.abs(sample.image.astype(int) - expected).max() <= 1


def test_a_recipe_that_trains_weights_on_asks_for_them(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--initial-weights"):
        plan_stages("salient-squeezesam-fine-tuned", tmp_path, None, None)


def test_a_coco_file_is_training_data(photo_folder: Path, tmp_path: Path) -> None:
    """Polygons, run lengths and a crowd, in COCO's own folders."""
    photos = [item.read(SkipList()) for item in find_items(photo_folder)][:3]
    (tmp_path / "train2017").mkdir()
    (tmp_path / "annotations").mkdir()
    images, annotations, expected = [], [], {}
    for number, photo in enumerate(photos, 1):
        assert photo is not None
        height, width = photo.image.shape[:2]
        name = f"{number:012}.jpg"
        Image.fromarray(photo.image).save(tmp_path / "train2017" / name, quality=95)
        images.append(
            {
                "id": number,
                "file_name": name,
                "height": height,
                "width": width,
                "coco_url": f"http://images.cocodataset.org/train2017/{name}",
            }
        )
        square = np.zeros((height, width), bool)
        square[20:60, 30:80] = True
        rle = coco_mask.encode(np.asfortranarray(photo.masks[0].astype(np.uint8)))
        crowd = coco_mask.encode(np.asfortranarray(square.astype(np.uint8)))
        shapes = [
            ([[30, 20, 80, 20, 80, 60, 30, 60]], 0, square),
            ({"size": [height, width], "counts": rle["counts"].decode()}, 0, photo.masks[0]),
            ({"size": [height, width], "counts": crowd["counts"].decode()}, 1, square),
        ]
        for segmentation, is_crowd, mask in shapes:
            rows, columns = np.nonzero(mask)
            corner, far = (columns.min(), rows.min()), (columns.max() + 1, rows.max() + 1)
            annotations.append(
                {
                    "id": len(annotations) + 1,
                    "image_id": number,
                    "category_id": 1,
                    "segmentation": segmentation,
                    "iscrowd": is_crowd,
                    "area": int(mask.sum()),
                    "bbox": [int(v) for v in (*corner, far[0] - corner[0], far[1] - corner[1])],
                }
            )
        expected[str(number)] = [square, photo.masks[0]]
    content = {
        "images": images,
        "annotations": annotations,
        "categories": [{"id": 1, "name": "thing"}],
    }
    file = tmp_path / "annotations" / "instances_train2017.json"
    file.write_text(json.dumps(content))
    data = prepare(find_items(file), tmp_path / "cache", 2048)
    assert len(data) == 3
    for number, image in enumerate(data.images):
        found = data.masked_image(number).masks
        truth = expected[image.id.lstrip("0").removesuffix(".jpg")]
        assert len(found) == len(truth)
        for mask, wanted in zip(found, truth, strict=True):
            assert (mask & wanted).sum() / (mask | wanted).sum() > 0.97

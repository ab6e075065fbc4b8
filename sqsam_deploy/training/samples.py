"""Sample number n of a run: a pure function of the data, the recipe and n.

Because nothing depends on what was drawn before, a run resumes exactly from its step number, and
any number of workers and processes draws the same samples.
"""

from collections import Counter
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from sqsam_deploy.errors import DataError
from sqsam_deploy.model.config import ModelConfig
from sqsam_deploy.prompts.encoding import EncodedPrompt, Prompt, encode_prompt
from sqsam_deploy.training import augment
from sqsam_deploy.training.augment import Window
from sqsam_deploy.training.prepared import PreparedData
from sqsam_deploy.training.recipe import SourceWeights, TrainingRecipe
from sqsam_deploy.training.simulate import TargetObject, draw_prompt, draws_nothing

#: Most objects of one photo to choose from; unpacking SA-1B's hundred would take 0.1 s.
MAX_OBJECTS = 16


@dataclass(frozen=True)
class Sample:
    """One object with one prompt, as the network takes it.

    Attributes:
        image: SxSx3 uint8 RGB.
        prompt: The encoded prompt.
        target: sxs uint8, 0 or 1, at the size of the low-resolution masks.
    """

    image: NDArray[np.uint8]
    prompt: EncodedPrompt
    target: NDArray[np.uint8]


class Batch(NamedTuple):
    """Samples as tensors.

    Attributes:
        image: Bx3xSxS uint8, channels last in memory.
        prompt_maps: Bx2xSxS uint8.
        point_coords: BxPx2 float32.
        point_labels: BxP float32.
        target: Bxsxs uint8.
    """

    image: Tensor
    prompt_maps: Tensor
    point_coords: Tensor
    point_labels: Tensor
    target: Tensor


def collate(samples: list[Sample]) -> Batch:
    """Stacks samples."""
    images = torch.from_numpy(np.stack([sample.image for sample in samples]))
    return Batch(
        images.permute(0, 3, 1, 2),
        torch.from_numpy(np.stack([sample.prompt.prompt_maps for sample in samples])),
        torch.from_numpy(np.stack([sample.prompt.point_coords for sample in samples])),
        torch.from_numpy(np.stack([sample.prompt.point_labels for sample in samples])),
        torch.from_numpy(np.stack([sample.target for sample in samples])),
    )


@dataclass(frozen=True)
class Scene:
    """An augmented photo and its objects, before anything is resized.

    Attributes:
        image: HxWx3 uint8 RGB.
        masks: HxW uint8 each, the objects to choose from.
        background: HxW uint8, 1 where none of all objects of the photo is.
    """

    image: NDArray[np.uint8]
    masks: list[NDArray[np.uint8]]
    background: NDArray[np.uint8]

    def cut(self, window: Window, masks: list[NDArray[np.uint8]]) -> "Scene":
        """A part of the photo, with the objects that are left of it."""
        cut = [window.cut(mask) for mask in masks]
        return Scene(window.cut(self.image), cut, window.cut(self.background))

    def mirrored(self) -> "Scene":
        """Left and right exchanged."""
        mirror = augment.mirror
        masks = [mirror(mask) for mask in self.masks]
        return Scene(mirror(self.image), masks, mirror(self.background))


class SampleSource:
    """Draws samples from the photos of a split."""

    def __init__(
        self, data: PreparedData, numbers: list[int], recipe: TrainingRecipe, config: ModelConfig
    ) -> None:
        """Takes the photos with the given numbers.

        Args:
            data: All photos.
            numbers: Photos of the training split.
            recipe: What to draw.
            config: The network's shape.
        """
        self._data, self._recipe, self._config = data, recipe, config
        self._numbers = np.array(numbers)
        sources = [data.images[number].source for number in numbers]
        self._shares = image_shares(sources, recipe.source_weights)

    def scene_samples(self, number: int) -> list[Sample]:
        """The `recipe.objects_per_image` samples of augmented photo `number`."""
        rng = np.random.default_rng([self._recipe.optimization.seed, number])
        scene = self._draw_scene(rng)
        image = augment.resize_image(scene.image, self._config.image_size)
        options = self._recipe.augmentation
        pixels = np.asarray(augment.jitter_color(image, options.color, options.gray, rng))
        return [
            self._draw_sample(pixels, scene, first=slot == 0, rng=rng)
            for slot in range(self._recipe.objects_per_image)
        ]

    def _draw_scene(self, rng: np.random.Generator) -> Scene:
        options = self._recipe.augmentation
        number = int(self._numbers[rng.choice(len(self._numbers), p=self._shares)])
        masks = self._draw_objects(number, rng)
        scene = Scene(self._data.image(number), masks, self._data.background(number))
        if options.pasting and rng.random() < options.pasting:
            scene = self._paste(scene, rng)
        if rng.random() < options.cropping:
            hw = (scene.image.shape[0], scene.image.shape[1])
            around = augment.bounding_window(scene.masks[0])
            window = augment.center_crop(hw, around, options.min_crop, rng)
            visible = [mask for mask in scene.masks if self._visible(mask, window)]
            if self._visible(scene.masks[0], window):
                scene = scene.cut(window, visible)
        return scene.mirrored() if rng.random() < options.flipping else scene

    def _paste(self, scene: Scene, rng: np.random.Generator) -> Scene:
        other = int(self._numbers[rng.choice(len(self._numbers), p=self._shares)])
        mask = self._data.mask(other, int(rng.integers(len(self._data.images[other].nested))))
        if not augment.can_be_pasted(mask):
            return scene
        image, masks = augment.paste(scene.image, scene.masks, self._data.image(other), mask, rng)
        # What is pasted is an object, and hides what was behind it.
        background = scene.background.copy()
        for each in masks:
            background &= 1 - each
        return Scene(image, masks, background)

    def _draw_objects(self, number: int, rng: np.random.Generator) -> list[NDArray[np.uint8]]:
        """Masks of the photo in random order; the first is the one to crop around."""
        nested = np.array(self._data.images[number].nested)
        keep = np.arange(len(nested))
        if rng.random() < self._recipe.augmentation.merging:
            keep = keep[~nested]
        chosen = rng.permutation(keep)[:MAX_OBJECTS]
        masks = [self._data.mask(number, int(which)) for which in chosen]
        whole = Window(0, 0, masks[0].shape[1], masks[0].shape[0])
        # A photo with nothing but specks still has to give a sample.
        return [mask for mask in masks if self._counts(mask, whole)] or masks

    def _counts(self, mask: NDArray[np.uint8], whole: Window) -> bool:
        largest = self._recipe.augmentation.largest * mask.size
        return self._visible(mask, whole) and bool(np.count_nonzero(mask) <= largest)

    def _visible(self, mask: NDArray[np.uint8], window: Window) -> bool:
        target_pixels = self._config.mask_size**2 / (window.height * window.width)
        covered = np.count_nonzero(window.cut(mask)) * target_pixels
        return bool(covered >= self._recipe.augmentation.min_target_pixels)

    def _draw_sample(
        self, pixels: NDArray[np.uint8], scene: Scene, first: bool, rng: np.random.Generator
    ) -> Sample:
        mix = self._recipe.prompts
        if draws_nothing(mix, rng):
            mask, prompt = max(scene.masks, key=np.count_nonzero), Prompt()
        else:
            mask = scene.masks[0 if first else int(rng.integers(len(scene.masks)))]
            prompt = draw_prompt(TargetObject(mask, scene.background), mix, rng)
        encoded = encode_prompt(prompt, (mask.shape[0], mask.shape[1]), self._config)
        return Sample(pixels, encoded, augment.resize_target(mask, self._config.mask_size))


def image_shares(sources: list[str], weights: SourceWeights) -> NDArray[np.float64]:
    """The probability of each photo.

    Args:
        sources: Source of each photo.
        weights: Share of each named source. A source that is not named gets its share of the
            photos; the shares are scaled to sum to one.

    Raises:
        DataError: All photos have share 0.
    """
    named = dict(weights)
    counts = Counter(sources)
    each = {
        source: named.get(source, count / len(sources)) / count for source, count in counts.items()
    }
    shares = np.array([each[source] for source in sources])
    if not shares.any():
        raise DataError(
            f"the recipe gives no weight to any data source found ({', '.join(sorted(counts))})"
        )
    total = float(shares.sum())
    normalized: NDArray[np.float64] = shares / total
    return normalized


class BatchDataset(Dataset[Batch]):
    """The batch of step n for one process; a `DataLoader` with `batch_size=None` draws them."""

    def __init__(
        self, source: SampleSource, recipe: TrainingRecipe, rank: int, world_size: int
    ) -> None:
        self._source = source
        self._per_process = recipe.optimization.batch_size // recipe.objects_per_image // world_size
        self._rank, self._world_size = rank, world_size

    def __getitem__(self, step: int) -> Batch:
        start = (step * self._world_size + self._rank) * self._per_process
        numbers = range(start, start + self._per_process)
        return collate([s for number in numbers for s in self._source.scene_samples(number)])

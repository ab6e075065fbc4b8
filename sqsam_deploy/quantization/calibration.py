"""The inputs that int8 ranges are measured on: real images with realistic prompts."""

import hashlib
import itertools
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from sqsam_deploy.artifact.manifest import CalibrationEntry
from sqsam_deploy.datasets import AnnotatedImage, Dataset, load_all, subset
from sqsam_deploy.errors import NOTICE, DataError
from sqsam_deploy.model.config import ModelConfig
from sqsam_deploy.model.description import default_inputs
from sqsam_deploy.prompts import EncodedPrompt, Prompt, encode_prompt, prepare_image
from sqsam_deploy.prompts.binding import bind_inputs
from sqsam_deploy.quantization.prompting import draw_prompt

#: Prompts drawn for each image; the kinds count through from image to image.
PROMPTS_PER_IMAGE = 2

Sample = tuple[Tensor, ...]
#: Draws a prompt from a photo alone, HxWx3 uint8 RGB.
PhotoPrompt = Callable[[NDArray[np.uint8]], Prompt]

_logger = logging.getLogger("sqsam_deploy.quantization")


class Samples(Protocol):
    """Positional inputs of a network, which can be gone through more than once."""

    def __len__(self) -> int: ...

    def __iter__(self) -> Iterator[Sample]: ...


def spread(samples: Samples, count: int) -> Iterator[Sample]:
    """Some of the samples, evenly spaced; all where there are fewer."""
    step = max(len(samples) // count, 1)
    return itertools.islice(samples, 0, step * count, step)


@dataclass(frozen=True)
class CalibrationSet:
    """Inputs of the folded network and where they came from.

    Attributes:
        images: SxSx3 uint8, resized for the preset.
        prompts: Prompts of each image.
        config: The preset they were made for.
        source: Name of the dataset.
        seed: Of the draw of images and of prompts.
        images_sha256: Over the ids and pixels of the images, in order.
        prompt_sources: Images by what their prompts were drawn from: "objects", "saliency".
    """

    images: tuple[NDArray[np.uint8], ...]
    prompts: tuple[tuple[EncodedPrompt, ...], ...]
    config: ModelConfig
    source: str
    seed: int
    images_sha256: str
    prompt_sources: dict[str, int]

    def __len__(self) -> int:
        return sum(len(prompts) for prompts in self.prompts)

    def __iter__(self) -> Iterator[Sample]:
        """Positional inputs of the network: float32, batch 1.

        They are made one at a time: all of them at 1024x1024 would take over a gigabyte.
        """
        for image, prompts in zip(self.images, self.prompts, strict=True):
            for prompt in prompts:
                yield network_inputs(image, prompt, self.config)

    @property
    def entry(self) -> CalibrationEntry:
        """The set as an entry of the manifest."""
        return CalibrationEntry(
            source=self.source,
            images=len(self.images),
            samples=len(self),
            seed=self.seed,
            images_sha256=self.images_sha256,
            prompt_sources=self.prompt_sources,
        )


def network_inputs(image: NDArray[np.uint8], prompt: EncodedPrompt, config: ModelConfig) -> Sample:
    """An image and a prompt as the positional inputs of the folded network.

    Args:
        image: SxSx3 uint8 RGB.
        prompt: From `encode_prompt` with the same configuration.
        config: The preset.
    """
    bound = bind_inputs(default_inputs(config), image, prompt)
    return tuple(torch.from_numpy(value) for value in bound.values())


def build_calibration(
    dataset: Dataset,
    config: ModelConfig,
    *,
    size: int | None = None,
    seed: int = 0,
    salient: PhotoPrompt = lambda image: Prompt(),
) -> CalibrationSet:
    """Draws images and prompts, the same ones for the same seed.

    Args:
        dataset: Images; what cannot be used is left out, counted and logged. An image with objects
            gets prompts on them; one that has none to begin with gets clicks on what is salient
            in it, and no prompt.
        config: The preset.
        size: Images to use; None is all of them.
        seed: Of the draw.
        salient: Clicks on what is salient in a photo.

    Raises:
        DataError: Most images or objects cannot be used, or the dataset has none.
        UsageError: `size` is below 1.
    """
    drawn = dataset if size is None else subset(dataset, size, seed)
    rng = np.random.default_rng(seed)
    digest = hashlib.sha256()
    images, prompts, sources = [], [], Counter[str]()
    for number, photo in enumerate(load_all(drawn)):
        digest.update(photo.record.id.encode() + photo.image.tobytes())
        images.append(prepare_image(photo.image, config))
        kinds = range(number * PROMPTS_PER_IMAGE, (number + 1) * PROMPTS_PER_IMAGE)
        sources["objects" if photo.masks else "saliency"] += 1
        drawn_prompts = _on_objects(photo, kinds, rng) if photo.masks else _salient(photo, salient)
        image_hw = (photo.record.height, photo.record.width)
        prompts.append(tuple(encode_prompt(p, image_hw, config) for p in drawn_prompts))
    if not images:
        raise DataError(f"dataset '{dataset.name}' has no images to calibrate on")
    if count := sources["saliency"]:
        _logger.log(
            NOTICE,
            f"calibration: {count} of {len(images)} photos have no objects: one prompt of each is "
            "clicks on what is salient in it, the other none",
        )
    return CalibrationSet(
        tuple(images), tuple(prompts), config, dataset.name, seed, digest.hexdigest(), dict(sources)
    )


def _on_objects(
    photo: AnnotatedImage, kinds: Iterable[int], rng: np.random.Generator
) -> Iterator[Prompt]:
    for kind in kinds:
        mask = photo.masks[rng.integers(len(photo.masks))]
        yield draw_prompt(mask, kind, rng)


def _salient(photo: AnnotatedImage, salient: PhotoPrompt) -> tuple[Prompt, Prompt]:
    """Without an object there is nothing else to point at."""
    return salient(photo.image), Prompt()

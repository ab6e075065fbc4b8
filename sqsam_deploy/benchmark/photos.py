"""Real photos and real prompts as the input of every measurement."""

import itertools
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.datasets import ImageRecord, bundled_dataset, load_image
from sqsam_deploy.prompts import Prompt

#: Clicks of every second photo; the others get a box.
CLICKS = 3


@dataclass(frozen=True)
class Photo:
    """A photo and what a user points at.

    Attributes:
        image: HxWx3 uint8 RGB, as large as it was stored.
        prompt: In pixels of the photo.
    """

    image: NDArray[np.uint8]
    prompt: Prompt


def load_photos(count: int) -> list[Photo]:
    """The first photos of the bundled sample, with a box and with three clicks in turn."""
    rng = np.random.default_rng(0)
    records = itertools.islice(bundled_dataset("sample"), count)
    return [
        Photo(load_image(record), _clicks(record, rng) if index % 2 else _box(record))
        for index, record in enumerate(records)
    ]


def _box(record: ImageRecord) -> Prompt:
    return Prompt(box=max(record.objects, key=lambda item: item.area).box)


def _clicks(record: ImageRecord, rng: np.random.Generator) -> Prompt:
    """Points drawn from the largest object's mask (the protocol of the paper's Table 2)."""
    mask = max(record.objects, key=lambda item: item.area).mask()
    pixels = rng.choice(np.argwhere(mask), CLICKS)
    coords = pixels[:, ::-1].astype(np.float32)
    return Prompt(coords, np.ones(len(coords), np.int64))

"""Records of a data set: images, their objects, and masks that decode on demand."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.datasets.masks import MaskSource
from sqsam_deploy.datasets.problems import Problem
from sqsam_deploy.errors import UsageError

#: The box of an object whose data set states none; `measured` replaces it.
NO_BOX = (float("nan"),) * 4


@dataclass(frozen=True)
class ObjectRecord:
    """One object of an image.

    Attributes:
        id: Unique in the dataset.
        category: Name of what it is.
        area: Pixels of the mask, as the dataset states it; NaN where it states none.
        box: (x0, y0, x1, y1) in pixels; edges, so a pixel column x spans x to x + 1. NaN where
            the dataset states none.
        source: How to get at the mask.
    """

    id: str
    category: str
    area: float
    box: tuple[float, float, float, float]
    source: MaskSource

    def mask(self) -> NDArray[np.bool_]:
        """HxW bool, decoded at every call and kept nowhere.

        Raises:
            DataError: The mask's file or encoding is damaged.
        """
        return self.source.decode().mask


@dataclass(frozen=True)
class ImageRecord:
    """One image and its objects.

    Attributes:
        id: Unique in the dataset.
        path: The image file.
        width: Pixels, as the masks have them.
        height: Pixels, as the masks have them.
        objects: In the dataset's order; those that can be told to be unusable are not among them.
        source: The dataset it is from, where one folder holds several.
        group: Photos of one group (a video, a burst) never fall into two splits.
        stored_pixels: Whether the masks were drawn without looking at EXIF orientation.
        problems: What was left out of `objects`, or read otherwise than written.
    """

    id: str
    path: Path
    width: int
    height: int
    objects: tuple[ObjectRecord, ...]
    source: str = ""
    group: str = ""
    stored_pixels: bool = False
    problems: tuple[Problem, ...] = ()


@dataclass(frozen=True)
class Dataset:
    """Images in a fixed order; iterating gives `ImageRecord`s.

    Attributes:
        name: For reports.
        images: Every record; a mask in it takes memory only while it is in use.
        problems: What belongs to no record: photos that were left out, what was decided for all.
    """

    name: str
    images: Sequence[ImageRecord]
    problems: tuple[Problem, ...] = ()

    def __len__(self) -> int:
        return len(self.images)

    def __iter__(self) -> Iterator[ImageRecord]:
        return iter(self.images)

    @property
    def object_count(self) -> int:
        """Objects of all images."""
        return sum(len(record.objects) for record in self.images)


def annotated(dataset: Dataset) -> Dataset:
    """The images that have an object."""
    return replace(dataset, images=tuple(record for record in dataset if record.objects))


def of_category(dataset: Dataset, category: str) -> Dataset:
    """The objects of one category, and the images that have one.

    Raises:
        UsageError: There is no such object.
    """
    images = []
    for record in dataset:
        objects = tuple(item for item in record.objects if item.category == category)
        images += [replace(record, objects=objects)] if objects else []
    if not images:
        names = Counter(item.category for record in dataset for item in record.objects)
        known = ", ".join(name for name, _ in names.most_common(5))
        raise UsageError(
            f"'{dataset.name}' has no object of category '{category}', but of {known}"
            f"{', ...' if len(names) > 5 else ''}"
        )
    return replace(dataset, name=f"{dataset.name}, {category}", images=tuple(images))


def with_single_object(dataset: Dataset) -> Dataset:
    """The images that have exactly one object.

    Raises:
        UsageError: No image has.
    """
    images = tuple(record for record in dataset if len(record.objects) == 1)
    if not images:
        raise UsageError(f"'{dataset.name}' has no image with a single object")
    return replace(dataset, name=f"{dataset.name}, one an image", images=images)


def subset(dataset: Dataset, count: int, seed: int) -> Dataset:
    """`count` images drawn by `seed`, in the dataset's order.

    An image is ranked by a hash of the seed and its id, so the draw does not depend on the order
    of the file, and a smaller subset is part of a larger one of the same seed.

    Args:
        dataset: Where to draw from.
        count: Images; a dataset that has no more is returned whole.
        seed: Any integer.

    Raises:
        UsageError: `count` is below 1.
    """
    if count < 1:
        raise UsageError(f"a subset needs at least 1 image, not {count}")
    kept = set(draw_ids((record.id for record in dataset), count, seed))
    return replace(dataset, images=tuple(r for r in dataset.images if r.id in kept))


def drawn(dataset: Dataset, seed: int) -> Dataset:
    """All images, in the order in which `subset` would draw them."""
    order = sorted(dataset.images, key=lambda record: _rank(seed, record.id))
    return replace(dataset, images=tuple(order))


def draw_ids(ids: Iterable[str], count: int, seed: int) -> list[str]:
    """The `count` ids that `subset` would draw."""
    return sorted(ids, key=lambda image_id: _rank(seed, image_id))[:count]


def _rank(seed: int, image_id: str) -> bytes:
    return hashlib.sha256(f"{seed}:{image_id}".encode()).digest()

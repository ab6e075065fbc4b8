"""Real photos and real prompts as the input of every measurement."""

import itertools
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.datasets import AnnotatedImage, bundled_dataset, load_annotated
from sqsam_deploy.model.description import config_of
from sqsam_deploy.prompts import Prompt, encode_prompt, prepare_image
from sqsam_deploy.prompts.binding import bind_input, bind_inputs
from sqsam_deploy.prompts.image import stretch_filtered
from sqsam_deploy.prompts.sampling import draw_points, foreground

#: Clicks of every second photo; the others get a box.
CLICKS = 3
#: Height and width of what a phone's camera takes.
LARGE_HW = (3000, 4000)


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
    photos = (load_annotated(record) for record in records)
    return [
        Photo(photo.image, _clicks(photo, rng) if index % 2 else _box(photo))
        for index, photo in enumerate(photos)
    ]


def large_photo(photo: Photo) -> Photo:
    """A photo as one of 12 megapixels, with its prompt."""
    height, width, _ = photo.image.shape
    sides = max(LARGE_HW), min(LARGE_HW)
    larger = sides if height > width else sides[::-1]
    scale = np.array([larger[1] / width, larger[0] / height], np.float32)
    box = None if photo.prompt.box is None else np.multiply(photo.prompt.box, np.tile(scale, 2))
    prompt = replace(
        photo.prompt,
        point_coords=photo.prompt.point_coords * scale,
        box=None if box is None else tuple(box.tolist()),
    )
    return Photo(stretch_filtered(photo.image, larger), prompt)


def bind_photo(photo: Photo, metadata: ArtifactMetadata) -> dict[str, NDArray[np.generic]]:
    """A photo, and the prompt where the network takes one, as the inputs of an artifact."""
    if metadata.task == "saliency":
        (spec,) = metadata.inputs
        size = metadata.image_size
        return {spec.name: bind_input(spec, stretch_filtered(photo.image, (size, size)))}
    config = config_of(metadata)
    encoded = encode_prompt(photo.prompt, photo.image.shape[:2], config)
    return bind_inputs(metadata.inputs, prepare_image(photo.image, config), encoded)


def _box(photo: AnnotatedImage) -> Prompt:
    return Prompt(box=max(photo.record.objects, key=lambda item: item.area).box)


def _clicks(photo: AnnotatedImage, rng: np.random.Generator) -> Prompt:
    """Points drawn from the largest object's mask (the protocol of the paper's Table 2)."""
    areas = [item.area for item in photo.record.objects]
    return foreground(draw_points(photo.masks[int(np.argmax(areas))], CLICKS, rng))

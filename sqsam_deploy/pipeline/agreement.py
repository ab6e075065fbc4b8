"""An artifact against the float network, on real images with real prompts."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy._internal.geometry import mask_iou
from sqsam_deploy.artifact.manifest import Agreement
from sqsam_deploy.datasets import AnnotatedImage, ImageRecord, load_annotated
from sqsam_deploy.model.config import ModelConfig
from sqsam_deploy.prompts import EncodedPrompt, Prompt, encode_prompt, prepare_image
from sqsam_deploy.prompts.sampling import innermost_point
from sqsam_deploy.runtimes.session import RawPrediction, Session


@dataclass(frozen=True)
class Probe:
    """One input on which artifacts are compared, and the float network's answer to it.

    Attributes:
        record: The photo.
        given: The prompt, in pixels of the photo.
        image: The photo as the network takes it.
        prompt: The prompt as the network takes it.
        expected: The float network's answer.
    """

    record: ImageRecord
    given: Prompt
    image: NDArray[np.uint8]
    prompt: EncodedPrompt
    expected: RawPrediction


@dataclass(frozen=True)
class _Difference:
    mask_iou: float
    logit: float
    predicted_iou: float


def make_probes(
    records: Iterable[ImageRecord], reference: Session, config: ModelConfig
) -> list[Probe]:
    """One probe per prompt kind and image: a click, a box, a box with a click, nothing."""
    probes = []
    for record in records:
        photo = load_annotated(record)
        square = prepare_image(photo.image, config)
        for prompt in _prompts(photo):
            encoded = encode_prompt(prompt, (record.height, record.width), config)
            expected = reference.run(square, encoded)
            probes.append(Probe(record, prompt, square, encoded, expected))
    return probes


def _prompts(photo: AnnotatedImage) -> Iterator[Prompt]:
    """Prompts of an image's largest object; the click is the object's innermost pixel."""
    largest, mask = max(
        zip(photo.record.objects, photo.masks, strict=True), key=lambda pair: pair[0].area
    )
    click = innermost_point(mask)
    box = tuple(float(edge) for edge in largest.box)
    label = np.ones(1, np.int64)
    yield Prompt(click, label)
    yield Prompt(box=(box[0], box[1], box[2], box[3]))
    yield Prompt(click, label, (box[0], box[1], box[2], box[3]))
    yield Prompt()


def measure(
    session: Session, probes: Sequence[Probe], *, images: int, limit: float, executor: str
) -> Agreement:
    """Runs a session on every probe and compares it with the float network.

    Raises:
        ArtifactError: The artifact fails or returns something that is not finite.
    """
    differences = [_compare(session.run(p.image, p.prompt), p.expected) for p in probes]
    ious = [d.mask_iou for d in differences]
    return Agreement(
        images=images,
        prompts=len(probes),
        mean_mask_iou=float(np.mean(ious)),
        min_mask_iou=min(ious),
        max_logit_difference=max(d.logit for d in differences),
        max_iou_difference=max(d.predicted_iou for d in differences),
        limit=limit,
        executor=executor,
    )


def _compare(actual: RawPrediction, expected: RawPrediction) -> _Difference:
    # The mask a user would see is the one the float network ranks first.
    best = int(expected.iou_predictions.argmax())
    return _Difference(
        mask_iou=mask_iou(actual.low_res_masks[best] > 0, expected.low_res_masks[best] > 0),
        logit=float(np.abs(actual.low_res_masks - expected.low_res_masks).max()),
        predicted_iou=float(np.abs(actual.iou_predictions - expected.iou_predictions).max()),
    )

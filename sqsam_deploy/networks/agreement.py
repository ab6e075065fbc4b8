"""An artifact against the float network, on real images with real prompts."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy._internal.geometry import mask_iou
from sqsam_deploy.artifact.manifest import Agreement
from sqsam_deploy.datasets import AnnotatedImage, ImageRecord, load_annotated
from sqsam_deploy.errors import GateError
from sqsam_deploy.model.config import ModelConfig
from sqsam_deploy.networks.base import Comparison, Logits, Measured
from sqsam_deploy.prompts import EncodedPrompt, Prompt, encode_prompt, prepare_image
from sqsam_deploy.prompts.sampling import innermost_point
from sqsam_deploy.runtimes.session import RawPrediction, Session

#: Least ratio of the logits' power to the power of their error on every prompt. The lowest of 16 is
#: 25 dB for `nano` and 32 dB for `paper` at int8, and 8 dB for ranges that were measured without a
#: click or a box, although the masks agree at 0.96 (docs/quantization.md).
LEAST_SNR_DB = 20.0
#: Largest difference of a predicted IoU, which chooses the mask that a user sees. Good int8 ranges
#: give up to 0.21, a cut-off last layer 0.7; masks and logits show nothing of it.
LARGEST_IOU_DIFFERENCE = 0.25


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
    area: int
    power: float
    noise: float
    logit: float
    predicted_iou: float


def make_probes(
    records: Iterable[ImageRecord], reference: Session, config: ModelConfig
) -> list[Probe]:
    """One probe per prompt kind and image: a click, a box, a box with a click, nothing."""
    return [
        Probe(record, given, image, prompt, reference.run(image, prompt))
        for record in records
        for given, image, prompt in largest_object_prompts(record, config)
    ]


def largest_object_prompts(
    record: ImageRecord, config: ModelConfig
) -> Iterator[tuple[Prompt, NDArray[np.uint8], EncodedPrompt]]:
    """Each prompt of a photo as the user gives it, and photo and prompt as the network takes them.

    Raises:
        DataError: The photo cannot be read.
    """
    photo = load_annotated(record)
    image = prepare_image(photo.image, config)
    for given in _prompts(photo):
        yield given, image, encode_prompt(given, (record.height, record.width), config)


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


@dataclass(frozen=True)
class PromptComparison(Comparison):
    """A segmentation artifact against the float network.

    The mean of the masks' IoU is weighted by their area (the union of the two): of a nearly empty
    mask, a handful of pixels at the threshold decides, and nobody would see them.

    Attributes:
        probes: Prompts on photos.
        images: How many photos.
    """

    probes: Sequence[Probe]
    images: int
    measure_of = "mean mask IoU on the comparison prompts"

    def measure(self, session: Session, *, limit: float, executor: str) -> Measured:
        """See `Comparison.measure`; the answers are logits of the float network's best mask.

        Raises:
            ArtifactError: The artifact fails or returns something that is not finite.
            GateError: Its logits or predicted IoUs are not those of the float network, whatever the
                masks say: ranges that cut off the large logits hardly move the masks' edges.
        """
        actual = [session.run(probe.image, probe.prompt) for probe in self.probes]
        pairs = zip(actual, self.probes, strict=True)
        differences = [_compare(answer, probe.expected) for answer, probe in pairs]
        _check_logits(differences)
        _check_predicted_ious(differences)
        ious = [d.mask_iou for d in differences]
        areas = [d.area for d in differences]
        agreement = Agreement(
            images=self.images,
            prompts=len(self.probes),
            mean_mask_iou=float(np.average(ious, weights=areas)) if any(areas) else 1.0,
            min_mask_iou=min(ious),
            max_logit_difference=max(d.logit for d in differences),
            max_iou_difference=max(d.predicted_iou for d in differences),
            limit=limit,
            executor=executor,
        )
        pairs = zip(actual, self.probes, strict=True)
        return Measured(agreement, [best_mask(answer, probe) for answer, probe in pairs])


def best_mask(prediction: RawPrediction, probe: Probe) -> Logits:
    """Logits, sxs, of the mask that the float network ranks first."""
    best = int(probe.expected.iou_predictions.argmax())
    logits: Logits = prediction.low_res_masks[best].astype(np.float16)
    return logits


def _check_logits(differences: Sequence[_Difference]) -> None:
    """Ratio of the power of the float logits to the power of the difference, prompt by prompt.

    Over all prompts together, one that is answered wrongly hides behind those with large logits.
    """
    lowest = min(map(_decibel, differences))
    if lowest < LEAST_SNR_DB:
        raise GateError(
            f"the artifact's logits differ from the float network's: {lowest:.1f} dB of signal to "
            f"noise on one of {len(differences)} prompts, under the limit of {LEAST_SNR_DB:g} dB: "
            "check that the calibration photos have objects to click on and look like those of the "
            "app"
        )


def _check_predicted_ious(differences: Sequence[_Difference]) -> None:
    largest = max(difference.predicted_iou for difference in differences)
    if largest > LARGEST_IOU_DIFFERENCE:
        raise GateError(
            "the artifact's predicted IoUs differ from the float network's by up to "
            f"{largest:.2f}, over the limit of {LARGEST_IOU_DIFFERENCE:g}, so that another mask "
            "may be chosen: check the calibration photos, or keep mask_head.iou_mlp* in float"
        )


def _decibel(difference: _Difference) -> float:
    if not difference.noise:
        return math.inf
    ratio = difference.power / difference.noise
    return 10 * math.log10(ratio) if ratio else -math.inf


def _compare(actual: RawPrediction, expected: RawPrediction) -> _Difference:
    # The mask a user would see is the one the float network ranks first.
    best = int(expected.iou_predictions.argmax())
    mask, float_mask = actual.low_res_masks[best] > 0, expected.low_res_masks[best] > 0
    error = actual.low_res_masks - expected.low_res_masks
    return _Difference(
        mask_iou=mask_iou(mask, float_mask),
        area=int(np.count_nonzero(mask | float_mask)),
        power=float(np.square(expected.low_res_masks, dtype=np.float64).sum()),
        noise=float(np.square(error, dtype=np.float64).sum()),
        logit=float(np.abs(error).max()),
        predicted_iou=float(np.abs(actual.iou_predictions - expected.iou_predictions).max()),
    )

"""The cost of int8 in each module of the network, in mIoU against the truth of photos with masks.

Every photo is asked about one of its objects, drawn with the seed, by the prompts of
`sqsam-parity`: a box, one click, three. Two numbers are measured for each module: the *loss* of
quantizing it alone in the float network, and the *gain* of leaving it alone in float in the int8
network. Both programs are simulated (`quantization.simulation`): one run of a photo is kept, and a
module that changes sides costs what comes after it.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
from numpy.typing import NDArray
from torch import Tensor
from torch.fx import Node

from sqsam_deploy._internal.geometry import mask_iou
from sqsam_deploy._internal.progress import Steps
from sqsam_deploy._internal.workers import open_workers
from sqsam_deploy.artifact.documents import Frozen
from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.datasets import ImageRecord
from sqsam_deploy.datasets.remote import read_file
from sqsam_deploy.errors import DataError
from sqsam_deploy.evaluation.bounds import Interval, interval
from sqsam_deploy.evaluation.drift import POINTS
from sqsam_deploy.evaluation.evaluator import open_scene
from sqsam_deploy.evaluation.protocols import GroundTruthBoxes, PromptProtocol, RandomPoints
from sqsam_deploy.model.description import config_of
from sqsam_deploy.predictor import upsample_masks
from sqsam_deploy.prompts import encode_prompt, limit_clicks, prepare_image
from sqsam_deploy.prompts.sampling import object_generator
from sqsam_deploy.quantization.calibration import Sample, network_inputs
from sqsam_deploy.quantization.simulation import Arrangement, Simulation

#: Photos that every module is measured on, with one prompt each, so that each kind of prompt has as
#: many: minutes for the largest preset.
SENSITIVITY_PHOTOS = 12


class ModuleSensitivity(Frozen):
    """A module with an int8 layer, in mIoU points with their 95% intervals over photos.

    Attributes:
        name: Dotted, in the folded network: what `keep_float` takes.
        op: conv2d, conv_transpose2d, linear or cat.
        work: Multiply-accumulates of one inference; of a `cat`, the values that it moves.
        loss: Of quantizing it alone in the float network.
        gain: Of keeping it alone in float in the int8 network.
    """

    name: str
    op: str
    work: int
    loss: Interval
    gain: Interval


class Sensitivity(Frozen):
    """Every module, in the order in which they run.

    Attributes:
        source: The data set of the photos.
        photos: How many, each with one prompt about one object.
        seed: Of the draw of photos, objects and clicks.
        miou_float: Of the float network, in points.
        miou_int8: Of the int8 network, in points.
        modules: Those with an int8 layer.
    """

    source: str
    photos: int
    seed: int
    miou_float: float
    miou_int8: float
    modules: tuple[ModuleSensitivity, ...]


@dataclass(frozen=True)
class Question:
    """A prompt about an object.

    Attributes:
        sample: Photo and prompt as inputs of the folded network.
        truth: The object, HxW bool.
        threshold: Logits above it belong to a mask.
    """

    sample: Sample
    truth: NDArray[np.bool_]
    threshold: float

    def iou(self, outputs: Sequence[Tensor]) -> float:
        """IoU of the truth with the mask that the network ranks first, at the photo's size.

        Args:
            outputs: Logits 1xMxsxs and predicted IoUs 1xM.
        """
        masks, predicted = (output[0].numpy() for output in outputs)
        best = masks[int(predicted.argmax())][None]
        height, width = self.truth.shape
        return mask_iou(upsample_masks(best, (height, width))[0] > self.threshold, self.truth)


@dataclass(frozen=True)
class Asked:
    """Photos with one object each, and how they are asked about it.

    Attributes:
        records: The photos, each with the drawn object alone.
        metadata: Says how the network takes a photo and a prompt.
        seed: Of objects and clicks.
        sha256: Over photos and masks.
    """

    records: tuple[ImageRecord, ...]
    metadata: ArtifactMetadata
    seed: int
    sha256: str

    @property
    def _protocols(self) -> tuple[PromptProtocol, ...]:
        return GroundTruthBoxes(), RandomPoints((1, 3), self.seed)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Of the prompts that each photo is asked by."""
        return tuple(kind for protocol in self._protocols for kind in protocol.kinds)

    def questions(self, record: ImageRecord) -> Iterator[Question]:
        """One for each kind of prompt."""
        scene, config = open_scene(record), config_of(self.metadata)
        square = prepare_image(scene.image, config)
        for protocol in self._protocols:
            for query in protocol.queries(scene):
                prompt = limit_clicks(query.prompt, config.max_clicks)
                encoded = encode_prompt(prompt, scene.image_hw, config)
                sample = network_inputs(square, encoded, config)
                yield Question(sample, scene.masks[0], self.metadata.mask_threshold)


def draw_objects(photos: Iterable[ImageRecord], metadata: ArtifactMetadata, seed: int) -> Asked:
    """Draws an object of each photo; photos without one, or with one that is damaged, are left out.

    Raises:
        DataError: No photo is left.
    """
    digest, records = hashlib.sha256(), []
    for photo in photos:
        if not photo.objects:
            continue
        index = object_generator(seed, photo.id).integers(len(photo.objects))
        record = replace(photo, objects=(photo.objects[index],))
        try:
            scene = open_scene(record)
        except DataError:
            continue
        digest.update(photo.id.encode() + read_file(photo.path))
        digest.update(np.packbits(scene.masks[0]).tobytes())
        records.append(record)
    if not records:
        raise DataError("none of the photos has a mask that can be used")
    return Asked(tuple(records), metadata, seed, digest.hexdigest())


@dataclass(frozen=True)
class _Variants:
    """A program, and others with the nodes in which they differ from it."""

    simulation: Simulation
    whole: Arrangement
    others: tuple[tuple[Arrangement, frozenset[Node]], ...]

    def ious(self, question: Question) -> list[float]:
        """Of the program, then of the others."""
        changes = (changed for _, changed in self.others)
        outputs, values = self.simulation.record(self.whole, question.sample, changes)
        found = [question.iou(outputs)]
        for other, changed in self.others:
            if changed:
                outputs = self.simulation.run(other, question.sample, values, changed)
                found.append(question.iou(outputs))
            else:
                found.append(found[0])
        return found


def _variants(
    simulation: Simulation,
    stays_float: Callable[[str], bool],
    others: Iterable[Callable[[str], bool]],
) -> _Variants:
    """A program and others, each by what stays in float in it."""
    whole = simulation.arrange(stays_float)
    arranged = map(simulation.arrange, others)
    pairs = tuple((other, simulation.changed(whole, other)) for other in arranged)
    return _Variants(simulation, whole, pairs)


def measure_sensitivity(
    simulation: Simulation, asked: Asked, source: str, steps: Steps
) -> Sensitivity:
    """Measures every module, photo by photo in processes side by side.

    Args:
        simulation: Of the int8 program.
        asked: The photos; of the kinds of prompts each photo gets the next one.
        source: Name of the data set.
        steps: Receives one step a photo.
    """
    names = [module.name for module in simulation.modules]
    variants = (
        # The float network with each alone in int8, the int8 network with each alone in float.
        _variants(simulation, lambda name: True, [name.__ne__ for name in names]),
        _variants(simulation, lambda name: False, [name.__eq__ for name in names]),
    )
    with open_workers(steps) as workers:
        for number in range(len(asked.records)):
            workers.start(partial(_measure_photo, variants, asked, number), 1.0)
        found = np.array(workers.results())
    before, after = found[:, 0], found[:, 1]
    return Sensitivity(
        source=source,
        photos=len(asked.records),
        seed=asked.seed,
        miou_float=POINTS * float(before[:, 0].mean()),
        miou_int8=POINTS * float(after[:, 0].mean()),
        modules=tuple(
            ModuleSensitivity(
                name=module.name,
                op=module.op,
                work=module.work,
                loss=interval(POINTS * (before[:, 0] - before[:, index])),
                gain=interval(POINTS * (after[:, index] - after[:, 0])),
            )
            for index, module in enumerate(simulation.modules, start=1)
        ),
    )


def _measure_photo(
    variants: tuple[_Variants, _Variants], asked: Asked, number: int, steps: Steps
) -> list[list[float]]:
    steps.begin(f"measuring every layer on photo {number + 1} of {len(asked.records)}")
    questions = list(asked.questions(asked.records[number]))
    question = questions[number % len(questions)]
    return [each.ious(question) for each in variants]

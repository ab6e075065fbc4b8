"""One image through every artifact: decoded once, resized once, each prompt encoded once."""

import hashlib
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy._internal.geometry import mask_iou
from sqsam_deploy.datasets import ImageRecord, load_annotated
from sqsam_deploy.datasets.problems import Problem
from sqsam_deploy.errors import ArtifactError, DataError
from sqsam_deploy.evaluation.noc import simulate_clicks
from sqsam_deploy.evaluation.plan import Artifact, EvaluationPlan
from sqsam_deploy.evaluation.protocols import Query, Scene
from sqsam_deploy.evaluation.results import ClickingResult, ObjectResult
from sqsam_deploy.evaluation.segmenters import Segmenter
from sqsam_deploy.prompts import Prompt
from sqsam_deploy.runtimes.session import RawPrediction


@dataclass(frozen=True)
class SegmentResult:
    """The mask of a detection, as COCO's results format has it, for AP."""

    artifact: str
    image: str
    category_id: int
    score: float
    segmentation: dict[str, Any]


@dataclass(frozen=True)
class ImageResult:
    """Everything an image gave.

    Attributes:
        image: The image's id.
        objects: Rows in the order of queries, then artifacts.
        clicking: Rows in the order of objects, then artifacts.
        segments: One per detection and artifact.
        broken: Why the image could not be used, or None.
        problems: What of it was left out, or read otherwise than written.
        seconds: Time it took, and that part of it spent inside the runtimes.
    """

    image: str
    objects: tuple[ObjectResult, ...] = ()
    clicking: tuple[ClickingResult, ...] = ()
    segments: tuple[SegmentResult, ...] = ()
    broken: str | None = None
    problems: tuple[Problem, ...] = ()
    seconds: tuple[float, float] = (0.0, 0.0)


@dataclass(frozen=True)
class _Answer:
    """An artifact's answer, and which of its masks it ranks first."""

    raw: RawPrediction
    best: int


class Evaluator:
    """Runs a plan on images with networks that are already open.

    Args:
        plan: What to evaluate.
        segmenters: By artifact name.
    """

    def __init__(self, plan: EvaluationPlan, segmenters: Mapping[str, Segmenter]) -> None:
        self._plan = plan
        self._segmenters = segmenters
        self._runtime_seconds = 0.0

    def evaluate(self, record: ImageRecord) -> ImageResult:
        """All results of one image; a damaged image or mask gives `broken` instead.

        Raises:
            ArtifactError: An artifact failed; the message names it.
        """
        start, self._runtime_seconds = time.perf_counter(), 0.0
        try:
            scene = open_scene(record)
            result = self._evaluate(scene)
        except DataError as error:
            return ImageResult(record.id, broken=str(error))
        seconds = (time.perf_counter() - start, self._runtime_seconds)
        return ImageResult(record.id, *result, problems=scene.problems, seconds=seconds)

    def _evaluate(
        self, scene: Scene
    ) -> tuple[tuple[ObjectResult, ...], tuple[ClickingResult, ...], tuple[SegmentResult, ...]]:
        photos = self._photos(scene)
        objects: list[ObjectResult] = []
        segments: list[SegmentResult] = []
        for protocol in self._plan.protocols:
            for query in protocol.queries(scene):
                answers = self._ask(query.prompt, scene, photos)
                masks = {
                    a.name: self._mask(a, answers[a.name], scene) for a in self._plan.artifacts
                }
                objects += self._rows(query, scene, answers, masks)
                segments += _segments(query, scene, masks)
        clicking = self._click(scene, photos) if self._plan.clicking else ()
        return tuple(objects), tuple(clicking), tuple(segments)

    def predict(self, artifact: Artifact, prompt: Prompt, scene: Scene) -> NDArray[np.bool_]:
        """One artifact's first-ranked mask for one prompt, HxW."""
        segmenter = self._segmenters[artifact.name]
        photo = segmenter.prepare(scene.image)
        encoded = segmenter.encode(prompt, scene.image_hw)
        return self._mask(artifact, self._run(artifact, photo, encoded), scene)

    def _photos(self, scene: Scene) -> dict[str, Any]:
        """The image as each kind of network takes it."""
        kinds = {each.input_key: each for each in self._segmenters.values()}
        return {key: segmenter.prepare(scene.image) for key, segmenter in kinds.items()}

    def _ask(self, prompt: Prompt, scene: Scene, photos: Mapping[str, Any]) -> dict[str, _Answer]:
        encoded: dict[str, Any] = {}
        answers: dict[str, _Answer] = {}
        for artifact in self._plan.artifacts:
            segmenter = self._segmenters[artifact.name]
            key = segmenter.input_key
            if key not in encoded:
                encoded[key] = segmenter.encode(prompt, scene.image_hw)
            answer = self._run(artifact, photos[key], encoded[key])
            answers[artifact.name] = answer
            _require_alike(artifact, answer, answers[artifact.reference])
        return answers

    def _run(self, artifact: Artifact, photo: Any, prompt: Any) -> _Answer:
        start = time.perf_counter()
        try:
            raw = self._segmenters[artifact.name].run(photo, prompt)
        except ArtifactError as error:
            raise ArtifactError(f"{artifact.name}: {error}") from error
        self._runtime_seconds += time.perf_counter() - start
        return _Answer(raw, int(raw.iou_predictions.argmax()))

    def _mask(self, artifact: Artifact, answer: _Answer, scene: Scene) -> NDArray[np.bool_]:
        return self._mask_at(artifact, answer, answer.best, scene)

    def _mask_at(
        self, artifact: Artifact, answer: _Answer, index: int, scene: Scene
    ) -> NDArray[np.bool_]:
        return self._segmenters[artifact.name].mask(answer.raw, index, scene.image_hw)

    def _same_mask(
        self,
        artifact: Artifact,
        scene: Scene,
        answers: Mapping[str, _Answer],
        masks: Mapping[str, NDArray[np.bool_]],
    ) -> NDArray[np.bool_]:
        """The artifact's mask of the index that its reference ranks first."""
        own, index = answers[artifact.name], answers[artifact.reference].best
        if own.best == index:
            return masks[artifact.name]
        return self._mask_at(artifact, own, index, scene)

    def _rows(
        self,
        query: Query,
        scene: Scene,
        answers: Mapping[str, _Answer],
        masks: Mapping[str, NDArray[np.bool_]],
    ) -> list[ObjectResult]:
        if query.target is None:
            return []
        item, truth = scene.record.objects[query.target], scene.masks[query.target]
        digest, seen = prompt_digest(query.prompt), truth_digest(scene.record.path, truth)
        return [
            ObjectResult(
                artifact=artifact.name,
                image=scene.record.id,
                object=item.id,
                category=item.category,
                area=item.area,
                kind=query.kind,
                prompt=digest,
                truth=seen,
                iou=mask_iou(masks[artifact.name], truth),
                same_mask_iou=mask_iou(self._same_mask(artifact, scene, answers, masks), truth),
                best_mask=answers[artifact.name].best,
                predicted_iou=float(answers[artifact.name].raw.iou_predictions.max()),
                agreement=self._agreement(artifact, artifact.reference, answers),
                sibling_agreement=self._agreement(artifact, artifact.sibling, answers),
            )
            for artifact in self._plan.artifacts
        ]

    def _agreement(
        self, artifact: Artifact, other: str, answers: Mapping[str, _Answer]
    ) -> float | None:
        """IoU with another artifact's first-ranked mask, at the network's resolution.

        The same index is taken from both: two masks that trade places are counted apart, as a
        change of `best_mask`.
        """
        if artifact.name == other:
            return None
        index = answers[other].best
        threshold = self._segmenters[artifact.name].mask_threshold
        mine, theirs = (answers[name].raw.low_res_masks[index] for name in (artifact.name, other))
        return mask_iou(mine > threshold, theirs > threshold)

    def _click(self, scene: Scene, photos: Mapping[str, Any]) -> list[ClickingResult]:
        results = []
        for item, truth in zip(scene.record.objects, scene.masks, strict=True):
            for artifact in self._plan.artifacts:
                segmenter = self._segmenters[artifact.name]

                def predict(
                    prompt: Prompt,
                    artifact: Artifact = artifact,
                    segmenter: Segmenter = segmenter,
                ) -> NDArray[np.bool_]:
                    encoded = segmenter.encode(prompt, scene.image_hw)
                    answer = self._run(artifact, photos[segmenter.input_key], encoded)
                    return self._mask(artifact, answer, scene)

                ious = simulate_clicks(predict, truth)
                results.append(
                    ClickingResult(artifact.name, scene.record.id, item.id, item.area, ious)
                )
        return results


def open_scene(record: ImageRecord) -> Scene:
    """Decodes an image and its masks; objects that cannot be used are not among the scene's.

    Raises:
        DataError: The image is damaged, or none of its objects can be used.
    """
    photo = load_annotated(record)
    return Scene(photo.record, photo.image, photo.masks, photo.problems)


def prompt_digest(prompt: Prompt) -> str:
    """Twelve hex digits that differ wherever two prompts do."""
    content = (prompt.point_coords.tolist(), prompt.point_labels.tolist(), prompt.box)
    return hashlib.sha256(repr(content).encode()).hexdigest()[:12]


def truth_digest(photo: Path, mask: NDArray[np.bool_]) -> str:
    """Twelve hex digits that differ wherever two photos' files or two masks do."""
    digest = hashlib.sha256(photo.read_bytes())
    digest.update(repr(mask.shape).encode())
    digest.update(np.packbits(mask).tobytes())
    return digest.hexdigest()[:12]


def _require_alike(artifact: Artifact, answer: _Answer, reference: _Answer) -> None:
    """Refuses to compare masks that do not stand for the same."""
    own, other = (each.raw.low_res_masks.shape for each in (answer, reference))
    if own != other:
        raise ArtifactError(
            f"{artifact.name} answers with masks of {own}, {artifact.reference} with {other}: "
            "export both in the same way, or give one another name"
        )


def _segments(
    query: Query, scene: Scene, masks: Mapping[str, NDArray[np.bool_]]
) -> list[SegmentResult]:
    if query.detection is None:
        return []
    from pycocotools import mask as coco_mask

    segments = []
    for artifact, mask in masks.items():
        rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
        segmentation = {"size": list(rle["size"]), "counts": rle["counts"].decode("ascii")}
        detection = query.detection
        segments.append(
            SegmentResult(
                artifact,
                scene.record.id,
                detection.category_id,
                detection.score,
                segmentation,
            )
        )
    return segments

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
from sqsam_deploy.model.config import ModelConfig
from sqsam_deploy.model.description import config_of
from sqsam_deploy.predictor import upsample_masks
from sqsam_deploy.prompts import EncodedPrompt, Prompt, encode_prompt, limit_clicks, prepare_image
from sqsam_deploy.runtimes.session import RawPrediction, Session


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
    """Runs a plan on images with sessions that are already open.

    Args:
        plan: What to evaluate.
        sessions: By artifact name.
    """

    def __init__(self, plan: EvaluationPlan, sessions: Mapping[str, Session]) -> None:
        self._plan = plan
        self._sessions = sessions
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
        squares = self._squares(scene)
        objects: list[ObjectResult] = []
        segments: list[SegmentResult] = []
        for protocol in self._plan.protocols:
            for query in protocol.queries(scene):
                answers = self._ask(query.prompt, scene, squares)
                masks = {
                    a.name: self._mask(a, answers[a.name], scene) for a in self._plan.artifacts
                }
                objects += self._rows(query, scene, answers, masks)
                segments += _segments(query, scene, masks)
        clicking = self._click(scene, squares) if self._plan.clicking else ()
        return tuple(objects), tuple(clicking), tuple(segments)

    def predict(self, artifact: Artifact, prompt: Prompt, scene: Scene) -> NDArray[np.bool_]:
        """One artifact's first-ranked mask for one prompt, HxW."""
        square = prepare_image(scene.image, config_of(artifact.metadata))
        encoded = _encode(prompt, scene, config_of(artifact.metadata))
        return self._mask(artifact, self._run(artifact, square, encoded), scene)

    def _squares(self, scene: Scene) -> dict[str, NDArray[np.uint8]]:
        """The image as each preset takes it."""
        configs = {a.metadata.preset: config_of(a.metadata) for a in self._plan.artifacts}
        return {name: prepare_image(scene.image, config) for name, config in configs.items()}

    def _ask(
        self, prompt: Prompt, scene: Scene, squares: Mapping[str, NDArray[np.uint8]]
    ) -> dict[str, _Answer]:
        encoded: dict[str, EncodedPrompt] = {}
        answers = {}
        for artifact in self._plan.artifacts:
            preset = artifact.metadata.preset
            if preset not in encoded:
                encoded[preset] = _encode(prompt, scene, config_of(artifact.metadata))
            answers[artifact.name] = self._run(artifact, squares[preset], encoded[preset])
        return answers

    def _run(self, artifact: Artifact, square: NDArray[np.uint8], prompt: EncodedPrompt) -> _Answer:
        start = time.perf_counter()
        try:
            raw = self._sessions[artifact.name].run(square, prompt)
        except ArtifactError as error:
            raise ArtifactError(f"{artifact.name}: {error}") from error
        self._runtime_seconds += time.perf_counter() - start
        return _Answer(raw, int(raw.iou_predictions.argmax()))

    def _mask(self, artifact: Artifact, answer: _Answer, scene: Scene) -> NDArray[np.bool_]:
        return self._mask_at(artifact, answer, answer.best, scene)

    def _mask_at(
        self, artifact: Artifact, answer: _Answer, index: int, scene: Scene
    ) -> NDArray[np.bool_]:
        logits = upsample_masks(answer.raw.low_res_masks[index][None], scene.image_hw)[0]
        mask: NDArray[np.bool_] = logits > artifact.metadata.mask_threshold
        return mask

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
                agreement=_agreement(artifact, artifact.reference, answers),
                sibling_agreement=_agreement(artifact, artifact.sibling, answers),
            )
            for artifact in self._plan.artifacts
        ]

    def _click(
        self, scene: Scene, squares: Mapping[str, NDArray[np.uint8]]
    ) -> list[ClickingResult]:
        results = []
        for item, truth in zip(scene.record.objects, scene.masks, strict=True):
            for artifact in self._plan.artifacts:
                square = squares[artifact.metadata.preset]

                def predict(
                    prompt: Prompt, artifact: Artifact = artifact, square: Any = square
                ) -> NDArray[np.bool_]:
                    encoded = _encode(prompt, scene, config_of(artifact.metadata))
                    return self._mask(artifact, self._run(artifact, square, encoded), scene)

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


def _encode(prompt: Prompt, scene: Scene, config: ModelConfig) -> EncodedPrompt:
    return encode_prompt(limit_clicks(prompt, config), scene.image_hw, config)


def _agreement(artifact: Artifact, other: str, answers: Mapping[str, _Answer]) -> float | None:
    """IoU with another artifact's first-ranked mask, at the network's resolution.

    The same index is taken from both: two masks that trade places are counted apart, as a change
    of `best_mask`.
    """
    if artifact.name == other:
        return None
    index, threshold = answers[other].best, artifact.metadata.mask_threshold
    mine, theirs = (answers[name].raw.low_res_masks[index] for name in (artifact.name, other))
    return mask_iou(mine > threshold, theirs > threshold)


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

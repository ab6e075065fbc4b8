"""One image through every artifact: decoded once, resized once, each prompt encoded once."""

import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy._internal.geometry import mask_iou
from sqsam_deploy.datasets import ImageRecord, load_annotated
from sqsam_deploy.datasets.problems import Problem
from sqsam_deploy.datasets.remote import read_file
from sqsam_deploy.errors import ArtifactError, DataError
from sqsam_deploy.evaluation.answers import KeptAnswer, KeptAnswers, encode_mask
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
        answers: Of float artifacts by name, where they were asked for and not known.
    """

    image: str
    objects: tuple[ObjectResult, ...] = ()
    clicking: tuple[ClickingResult, ...] = ()
    segments: tuple[SegmentResult, ...] = ()
    broken: str | None = None
    problems: tuple[Problem, ...] = ()
    seconds: tuple[float, float] = (0.0, 0.0)
    answers: Mapping[str, KeptAnswers] = field(default_factory=dict)


@dataclass(frozen=True)
class Task:
    """An image to evaluate.

    Attributes:
        record: The image.
        wanted: Names of the float artifacts whose answers shall be kept.
        known: Answers of an earlier run by artifact name; not used where the question changed.
    """

    record: ImageRecord
    wanted: tuple[str, ...] = ()
    known: Mapping[str, KeptAnswers] = field(default_factory=dict)


@dataclass(frozen=True)
class _Question:
    """A query with the digests of its prompt, and of the photo and the object that it means."""

    query: Query
    prompt: str
    truth: str


@dataclass(frozen=True)
class _Answer:
    """An artifact's answer, and which of its masks it ranks first.

    Attributes:
        raw: The outputs.
        best: Index of the mask of the highest predicted IoU.
        kept: Where the answer is an earlier run's; `raw` then has the first-ranked mask alone.
    """

    raw: RawPrediction
    best: int
    kept: KeptAnswer | None = None


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

    def evaluate(self, task: Task) -> ImageResult:
        """All results of one image; a damaged image or mask gives `broken` instead.

        Raises:
            ArtifactError: An artifact failed; the message names it.
        """
        start, self._runtime_seconds = time.perf_counter(), 0.0
        try:
            scene = open_scene(task.record)
            result = self._evaluate(scene, task)
        except DataError as error:
            return ImageResult(task.record.id, broken=str(error))
        seconds = (time.perf_counter() - start, self._runtime_seconds)
        return replace(result, problems=scene.problems, seconds=seconds)

    def _evaluate(self, scene: Scene, task: Task) -> ImageResult:
        photos = self._photos(scene)
        questions = _questions(self._plan, scene)
        known = _still_valid(task.known, questions, scene, self._plan.clicking)
        objects: list[ObjectResult] = []
        segments: list[SegmentResult] = []
        kept: dict[str, list[KeptAnswer]] = {name: [] for name in task.wanted if name not in known}
        for number, question in enumerate(questions):
            recalled = {name: answers.prompts[number] for name, answers in known.items()}
            answers = self._ask(question.query.prompt, scene, photos, recalled)
            masks = {
                a.name: self._mask(a, answers[a.name], scene)
                for a in self._plan.artifacts
                if a.name not in recalled
            }
            rows = self._rows(question, scene, answers, masks)
            shapes = self._segments(question.query, scene, masks, recalled)
            objects += rows
            segments += shapes
            for name, own in kept.items():
                own.append(self._kept(name, question, answers[name], rows, shapes))
        clicking = self._click(scene, photos, known) if self._plan.clicking else ()
        answers_kept = {
            name: KeptAnswers(tuple(own), tuple(c.ious for c in clicking if c.artifact == name))
            for name, own in kept.items()
        }
        return ImageResult(
            task.record.id, tuple(objects), tuple(clicking), tuple(segments), answers=answers_kept
        )

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

    def _ask(
        self,
        prompt: Prompt,
        scene: Scene,
        photos: Mapping[str, Any],
        recalled: Mapping[str, KeptAnswer],
    ) -> dict[str, _Answer]:
        encoded: dict[str, Any] = {}
        answers: dict[str, _Answer] = {}
        for artifact in self._plan.artifacts:
            segmenter = self._segmenters[artifact.name]
            if (kept := recalled.get(artifact.name)) is not None:
                raw = kept.prediction(segmenter.mask_threshold)
                answers[artifact.name] = _Answer(raw, kept.best, kept)
                continue
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
        question: _Question,
        scene: Scene,
        answers: Mapping[str, _Answer],
        masks: Mapping[str, NDArray[np.bool_]],
    ) -> list[ObjectResult]:
        query = question.query
        if query.target is None:
            return []
        item, truth = scene.record.objects[query.target], scene.masks[query.target]
        rows = []
        for artifact in self._plan.artifacts:
            answer = answers[artifact.name]
            if answer.kept is not None:
                iou = same_mask_iou = answer.kept.iou or 0.0
            else:
                iou = mask_iou(masks[artifact.name], truth)
                same_mask_iou = mask_iou(self._same_mask(artifact, scene, answers, masks), truth)
            rows.append(
                ObjectResult(
                    artifact=artifact.name,
                    image=scene.record.id,
                    object=item.id,
                    category=item.category,
                    area=item.area,
                    kind=query.kind,
                    prompt=question.prompt,
                    truth=question.truth,
                    iou=iou,
                    same_mask_iou=same_mask_iou,
                    best_mask=answer.best,
                    predicted_iou=float(answer.raw.iou_predictions.max()),
                    agreement=self._agreement(artifact, artifact.reference, answers),
                    sibling_agreement=self._agreement(artifact, artifact.sibling, answers),
                )
            )
        return rows

    def _segments(
        self,
        query: Query,
        scene: Scene,
        masks: Mapping[str, NDArray[np.bool_]],
        recalled: Mapping[str, KeptAnswer],
    ) -> list[SegmentResult]:
        detection = query.detection
        if detection is None:
            return []
        shapes = {name: kept.segmentation or {} for name, kept in recalled.items()}
        shapes |= {name: encode_mask(mask) for name, mask in masks.items()}
        return [
            SegmentResult(
                artifact.name,
                scene.record.id,
                detection.category_id,
                detection.score,
                shapes[artifact.name],
            )
            for artifact in self._plan.artifacts
        ]

    def _kept(
        self,
        name: str,
        question: _Question,
        answer: _Answer,
        rows: Sequence[ObjectResult],
        segments: Sequence[SegmentResult],
    ) -> KeptAnswer:
        masks = answer.raw.low_res_masks
        inside = masks[answer.best] > self._segmenters[name].mask_threshold
        count, height, width = masks.shape
        return KeptAnswer(
            prompt=question.prompt,
            truth=question.truth,
            masks_hw=(count, height, width),
            best=answer.best,
            predicted_iou=float(answer.raw.iou_predictions.max()),
            low_res=encode_mask(inside)["counts"],
            iou=next((row.iou for row in rows if row.artifact == name), None),
            segmentation=next((s.segmentation for s in segments if s.artifact == name), None),
        )

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

    def _click(
        self, scene: Scene, photos: Mapping[str, Any], known: Mapping[str, KeptAnswers]
    ) -> list[ClickingResult]:
        results = []
        objects = zip(scene.record.objects, scene.masks, strict=True)
        for number, (item, truth) in enumerate(objects):
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

                kept = known.get(artifact.name)
                ious = kept.clicking[number] if kept else simulate_clicks(predict, truth)
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


def _questions(plan: EvaluationPlan, scene: Scene) -> list[_Question]:
    photo = hashlib.sha256(read_file(scene.record.path))
    truths = [_truth_digest(photo, mask) for mask in scene.masks]
    return [
        _Question(
            query,
            prompt_digest(query.prompt),
            photo.hexdigest()[:12] if query.target is None else truths[query.target],
        )
        for protocol in plan.protocols
        for query in protocol.queries(scene)
    ]


def _still_valid(
    known: Mapping[str, KeptAnswers], questions: Sequence[_Question], scene: Scene, clicking: bool
) -> dict[str, KeptAnswers]:
    """Answers to the very questions that are asked now."""
    asked = [(question.prompt, question.truth) for question in questions]
    curves = len(scene.masks) if clicking else 0
    return {
        name: answers
        for name, answers in known.items()
        if [(kept.prompt, kept.truth) for kept in answers.prompts] == asked
        and len(answers.clicking) == curves
    }


def prompt_digest(prompt: Prompt) -> str:
    """Twelve hex digits that differ wherever two prompts do."""
    content = (prompt.point_coords.tolist(), prompt.point_labels.tolist(), prompt.box)
    return hashlib.sha256(repr(content).encode()).hexdigest()[:12]


def _truth_digest(photo: Any, mask: NDArray[np.bool_]) -> str:
    """Twelve hex digits that differ wherever two photos' files, as hashes of them, or masks do."""
    digest = photo.copy()
    digest.update(repr(mask.shape).encode())
    digest.update(np.packbits(mask).tobytes())
    return str(digest.hexdigest()[:12])


def _require_alike(artifact: Artifact, answer: _Answer, reference: _Answer) -> None:
    """Refuses to compare masks that do not stand for the same."""
    own, other = (each.raw.low_res_masks.shape for each in (answer, reference))
    if own != other:
        raise ArtifactError(
            f"{artifact.name} answers with masks of {own}, {artifact.reference} with {other}: "
            "export both in the same way, or give one another name"
        )

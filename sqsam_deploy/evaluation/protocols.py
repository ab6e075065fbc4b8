"""Where an image's prompts come from: one protocol, one class.

A protocol turns a scene into queries before any network has run, so every artifact answers the
same ones. (Simulated clicking, where the next click depends on the answer, is in `clicking`.)
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.datasets import ImageRecord
from sqsam_deploy.datasets.problems import Problem
from sqsam_deploy.evaluation.detections import Detection, match_detections
from sqsam_deploy.evaluation.metrics import size_class
from sqsam_deploy.evaluation.saliency import saliency_area, saliency_map, salient_object
from sqsam_deploy.prompts import Prompt
from sqsam_deploy.prompts.saliency import saliency_clicks
from sqsam_deploy.prompts.sampling import (
    draw_points,
    foreground,
    jitter_points,
    object_generator,
)


@dataclass(frozen=True)
class Scene:
    """One image with everything decoded.

    Attributes:
        record: The dataset's entry, with the objects that can be used.
        image: HxWx3 uint8 RGB.
        masks: HxW bool, one per object of the record.
        problems: What of the dataset's entry was left out, or read otherwise than written.
    """

    record: ImageRecord
    image: NDArray[np.uint8]
    masks: tuple[NDArray[np.bool_], ...]
    problems: tuple[Problem, ...] = ()

    @property
    def image_hw(self) -> tuple[int, int]:
        """Height and width."""
        return self.record.height, self.record.width


@dataclass(frozen=True)
class Query:
    """One prompt and the object it means.

    Attributes:
        kind: "box", "1-click", ...: what results are grouped by.
        prompt: In pixels of the image.
        target: Index of the object, or None for a detection that matches none.
        detection: The detection whose box the prompt is.
    """

    kind: str
    prompt: Prompt
    target: int | None
    detection: Detection | None = None


class PromptProtocol(Protocol):
    """Draws the queries of a scene."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of its queries."""

    def queries(self, scene: Scene) -> Iterator[Query]:
        """Every query about a scene, in a fixed order."""


@dataclass(frozen=True)
class GroundTruthBoxes:
    """The dataset's own box of every object."""

    kinds: tuple[str, ...] = ("box",)

    def queries(self, scene: Scene) -> Iterator[Query]:
        """One query an object."""
        for index, item in enumerate(scene.record.objects):
            yield Query(self.kinds[0], Prompt(box=_inside(item.box, scene.image_hw)), index)


@dataclass(frozen=True)
class RandomPoints:
    """Points drawn at random from every object's mask (Table 2).

    Attributes:
        counts: How many points; each count is a kind of its own.
        seed: Together with the object's id it fixes the points.
        jitter: Standard deviation of a click's error, in pixels of the image; 0 for none.
    """

    counts: tuple[int, ...]
    seed: int
    jitter: float = 0.0

    @property
    def kinds(self) -> tuple[str, ...]:
        """ "1-click", "3-clicks", ..."""
        return tuple(click_kind(count) for count in self.counts)

    def queries(self, scene: Scene) -> Iterator[Query]:
        """One query an object and count."""
        for index, item in enumerate(scene.record.objects):
            points = self._points(scene, index, item.id)
            for kind, count in zip(self.kinds, self.counts, strict=True):
                yield Query(kind, foreground(points[:count]), index)

    def _points(self, scene: Scene, index: int, object_id: str) -> NDArray[np.float32]:
        rng = object_generator(self.seed, object_id)
        points = draw_points(scene.masks[index], max(self.counts), rng)
        return jitter_points(points, self.jitter, scene.image_hw, rng) if self.jitter else points


@dataclass(frozen=True)
class DetectorBoxes:
    """A detector's boxes (Table 1); `detections` by image id, best first."""

    detections: Mapping[str, Sequence[Detection]]
    kinds: tuple[str, ...] = ("detector-box",)

    def queries(self, scene: Scene) -> Iterator[Query]:
        """One query a detection."""
        found = self.detections.get(scene.record.id, ())
        for detection, target in zip(found, match_detections(found, scene.record), strict=True):
            box = _inside(detection.box, scene.image_hw)
            yield Query(self.kinds[0], Prompt(box=box), target, detection)


@dataclass(frozen=True)
class SaliencyPoints:
    """The saliency start's points on the large object that it means (Table 4).

    The points are those of `Predictor.auto_prompt`, in its order: the center of the blob, then of
    its sections top left and top right.

    Attributes:
        source: Where saliency maps come from: see `sqsam_deploy.evaluation.saliency.saliency_map`.
        counts: How many of the five points are given.
    """

    source: Path
    counts: tuple[int, ...] = (1, 3)

    @property
    def kinds(self) -> tuple[str, ...]:
        """ "saliency-1", "saliency-3"."""
        return tuple(f"saliency-{count}" for count in self.counts)

    def queries(self, scene: Scene) -> Iterator[Query]:
        """One query a count, or none where the saliency means no large annotated object."""
        saliency = saliency_map(self.source, scene.record.path, scene.image)
        start = saliency_clicks(saliency)
        points = start.scaled_to(scene.image_hw)
        area = saliency_area(saliency, start.threshold, scene.image_hw)
        target = salient_object(scene.masks, area, points)
        if target is None or size_class(scene.record.objects[target].area) != "large":
            return
        for kind, count in zip(self.kinds, self.counts, strict=True):
            yield Query(kind, foreground(points[:count]), target)


def click_kind(count: int) -> str:
    """The name of a prompt with `count` clicks."""
    return "1-click" if count == 1 else f"{count}-clicks"


def _inside(
    box: tuple[float, float, float, float], image_hw: tuple[int, int]
) -> tuple[float, float, float, float]:
    height, width = image_hw
    x0, y0, x1, y1 = np.clip(box, 0, (width, height, width, height)).tolist()
    return (x0, y0, x1, y1)

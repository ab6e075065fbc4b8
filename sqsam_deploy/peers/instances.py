"""A network that finds all instances at once; the prompt chooses among them (FastSAM).

Settings and rules are those that FastSAM's authors run it with (arXiv 2306.12156 and its
`Inference.py`): confidence 0.4, suppression at an IoU of 0.9, at most 300 instances, masks made at
the photo's size; a box chooses the mask with the highest IoU with it, clicks choose every mask that
holds a foreground click, without those that hold a background click.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.peers.framing import Letterboxed
from sqsam_deploy.peers.graphs import GraphRunner
from sqsam_deploy.peers.pairs import PeerPrediction, Photo
from sqsam_deploy.peers.peer import Instances, Peer
from sqsam_deploy.prompts import Prompt
from sqsam_deploy.prompts.encoding import FOREGROUND

CONFIDENCE = 0.4
SUPPRESSION_IOU = 0.9
MOST_INSTANCES = 300
#: A box that covers the network's input by this IoU becomes all of it.
_FULL_IOU = 0.9
_COEFFICIENTS = 32

Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class Instance:
    """One instance; its mask is empty outside its box.

    Attributes:
        box: x0, y0, x1, y1 in whole pixels of the photo.
        inside: The mask within the box, bool.
        confidence: How sure the network is.
    """

    box: Box
    inside: NDArray[np.bool_]
    confidence: float

    @property
    def area(self) -> int:
        """Pixels of the mask."""
        return int(self.inside.sum())

    def holds(self, x: int, y: int) -> bool:
        """Whether a pixel belongs to the mask."""
        x0, y0, x1, y1 = self.box
        return x0 <= x < x1 and y0 <= y < y1 and bool(self.inside[y - y0, x - x0])

    def iou(self, box: Box) -> float:
        """Intersection over union of the mask with a filled box."""
        x0, y0, x1, y1 = self.box
        left, top = max(box[0], x0) - x0, max(box[1], y0) - y0
        right, bottom = min(box[2], x1) - x0, min(box[3], y1) - y0
        overlap = right > left and bottom > top
        shared = int(self.inside[top:bottom, left:right].sum()) if overlap else 0
        union = (box[2] - box[0]) * (box[3] - box[1]) + self.area - shared
        return shared / union if union else 0.0


class InstanceSegmenter:
    """FastSAM in ONNX Runtime. The instances of the latest photo are kept."""

    #: Masks come as -1 and 1.
    mask_threshold = 0.0

    def __init__(self, peer: Peer, names: Instances, threads: int | None = None) -> None:
        assert isinstance(peer.framing, Letterboxed), "read_peer gives this form its framing"
        self._peer, self._names, self._framing = peer, names, peer.framing
        self._network = GraphRunner(peer.files[0], threads)
        self._seen: Photo | None = None
        self._instances: list[Instance] = []

    @property
    def input_key(self) -> str:
        """Equal for two segmenters that take a photo and a prompt in the same way."""
        return repr((self._peer.preset, self._framing))

    def prepare(self, image: NDArray[np.uint8]) -> Photo:
        """The network's input for an HxWx3 uint8 RGB photo."""
        return Photo(self._framing.tensor(image), (image.shape[0], image.shape[1]))

    def encode(self, prompt: Prompt, image_hw: tuple[int, int]) -> Prompt:
        """The prompt itself."""
        return prompt

    def run(self, photo: Photo, prompt: Prompt) -> PeerPrediction:
        """The one mask that a prompt chooses, with the highest confidence of what it is made of.

        Raises:
            ArtifactError: The file cannot be run, or returns what it should not.
        """
        if photo is not self._seen:
            self._instances = self._find(photo)
            self._seen = photo
        if prompt.box is not None:
            mask, confidence = _by_box(self._instances, prompt.box, photo.image_hw)
        else:
            mask, confidence = _by_clicks(self._instances, prompt, photo.image_hw)
        logits = np.where(mask, np.float32(1), np.float32(-1))[None]
        return PeerPrediction(logits, np.array([confidence], np.float32), logits)

    def mask(
        self, prediction: PeerPrediction, index: int, image_hw: tuple[int, int]
    ) -> NDArray[np.bool_]:
        """One mask of an answer at the photo's size, HxW bool."""
        mask: NDArray[np.bool_] = prediction.logits[index] > 0
        return mask

    def _find(self, photo: Photo) -> list[Instance]:
        names = [self._names.detections, self._names.prototypes]
        found = self._network.run({self._peer.image_input: photo.tensor}, names)
        rows, prototypes = (np.asarray(value[0], np.float32) for value in found)
        rows = rows.T
        if rows.shape[1] <= 4 + _COEFFICIENTS or prototypes.shape[0] != _COEFFICIENTS:
            raise ArtifactError(
                f"{self._peer.files[0]} returns {rows.shape[1]} numbers an instance and "
                f"{prototypes.shape[0]} prototypes, where YOLO's segmentation has 4, the classes "
                f"and {_COEFFICIENTS}"
            )
        boxes, confidence, coefficients = self._kept(rows)
        boxes = self._framing.boxes(boxes, photo.image_hw)
        return [
            self._instance(*item, prototypes, photo.image_hw)
            for item in zip(boxes, confidence.tolist(), coefficients, strict=True)
        ]

    def _kept(
        self, rows: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
        """Corners in the square, confidence and mask coefficients of the instances that count."""
        classes = rows[:, 4:-_COEFFICIENTS]
        confidence = classes.max(axis=1)
        sure = np.flatnonzero(confidence > CONFIDENCE)
        sure = sure[np.argsort(-confidence[sure], kind="stable")]
        half = rows[sure, 2:4] / 2
        boxes = np.concatenate([rows[sure, :2] - half, rows[sure, :2] + half], axis=1)
        kept = suppress(boxes, classes[sure].argmax(axis=1))[:MOST_INSTANCES]
        boxes = boxes[kept]
        side = float(self._framing.size)
        full = np.array([[0, 0, side, side]], np.float32)
        boxes[box_ious(full[0], boxes) > _FULL_IOU] = full
        return boxes, confidence[sure][kept], rows[sure][kept, -_COEFFICIENTS:]

    def _instance(
        self,
        box: NDArray[np.float32],
        confidence: float,
        coefficients: NDArray[np.float32],
        prototypes: NDArray[np.float32],
        image_hw: tuple[int, int],
    ) -> Instance:
        logits = np.tensordot(coefficients, prototypes, 1)[None]
        mask = self._framing.restore(logits, image_hw)[0] > 0
        # A pixel belongs to the box when its number is in [x0, x1).
        x0, y0, x1, y1 = np.ceil(box).astype(int).tolist()
        return Instance((x0, y0, x1, y1), mask[y0:y1, x0:x1].copy(), confidence)


def suppress(boxes: NDArray[np.float32], classes: NDArray[np.intp]) -> list[int]:
    """Indices of the boxes that no better one of their class overlaps by over 0.9.

    Args:
        boxes: Nx4 corners, the surest first.
        classes: N.
    """
    kept: list[int] = []
    left = np.arange(len(boxes))
    while len(left):
        first, rest = left[0], left[1:]
        kept.append(int(first))
        same = classes[rest] == classes[first]
        left = rest[~(same & (box_ious(boxes[first], boxes[rest]) > SUPPRESSION_IOU))]
    return kept


def box_ious(box: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of one box, 4, with N others, Nx4."""
    low = np.maximum(box[:2], others[:, :2])
    high = np.minimum(box[2:], others[:, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=1)
    areas = np.prod(others[:, 2:] - others[:, :2], axis=1)
    union = np.prod(box[2:] - box[:2]) + areas - shared
    ious: NDArray[np.float32] = shared / np.maximum(union, 1e-9)
    return ious


def _by_box(
    instances: list[Instance], box: tuple[float, ...], image_hw: tuple[int, int]
) -> tuple[NDArray[np.bool_], float]:
    height, width = image_hw
    x0, y0, x1, y1 = (round(value) for value in box)
    whole = (max(x0, 0), max(y0, 0), min(x1, width), min(y1, height))
    best = max(instances, key=lambda instance: instance.iou(whole), default=None)
    mask = np.zeros(image_hw, bool)
    if best is None:
        return mask, 0.0
    _draw(mask, best, True)
    return mask, best.confidence


def _by_clicks(
    instances: list[Instance], prompt: Prompt, image_hw: tuple[int, int]
) -> tuple[NDArray[np.bool_], float]:
    """Larger instances first, so that what lies on top of them counts last."""
    height, width = image_hw
    mask, confidence = np.zeros(image_hw, bool), 0.0
    clicks = [
        (min(max(int(x), 0), width - 1), min(max(int(y), 0), height - 1), label == FOREGROUND)
        for (x, y), label in zip(prompt.point_coords.tolist(), prompt.point_labels, strict=True)
    ]
    for instance in sorted(instances, key=lambda instance: -instance.area):
        for x, y, wanted in clicks:
            if instance.holds(x, y):
                _draw(mask, instance, wanted)
                confidence = max(confidence, instance.confidence) if wanted else confidence
    return mask, confidence


def _draw(mask: NDArray[np.bool_], instance: Instance, value: bool) -> None:
    x0, y0, x1, y1 = instance.box
    mask[y0:y1, x0:x1][instance.inside] = value

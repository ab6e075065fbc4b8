"""Answers of float artifacts, kept from one run to the next.

A float artifact changes rarely, what is made of it often: with its answers at hand a run pays for
the quantized artifacts alone. Of an answer only that is kept which others are compared with: the
mask that the float artifact ranks first, at the network's resolution, and its IoU with the truth.
"""

import hashlib
import json
import sqlite3
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.artifact.provenance import installed_versions
from sqsam_deploy.datasets import ImageRecord
from sqsam_deploy.errors import DataError
from sqsam_deploy.evaluation.plan import Artifact, EvaluationPlan
from sqsam_deploy.peers import Peer
from sqsam_deploy.runtimes.base import Runtime
from sqsam_deploy.runtimes.registry import all_runtimes
from sqsam_deploy.runtimes.session import RawPrediction
from sqsam_deploy.version import __version__

CACHE_NAME = "float-answers.sqlite"


@dataclass(frozen=True)
class KeptAnswer:
    """An answer to one prompt.

    Attributes:
        prompt: Digest of the prompt.
        truth: Digest of the photo and the object's mask.
        masks_hw: How many masks the network gives, and their height and width.
        best: Index of the mask that it ranks first.
        predicted_iou: What it expects of that mask.
        low_res: That mask at the network's resolution: the counts of COCO's run-length encoding.
        iou: Its IoU with the truth at the photo's size; None where no object is meant.
        segmentation: It at the photo's size, as COCO's results format has it; None without a
            detection.
    """

    prompt: str
    truth: str
    masks_hw: tuple[int, int, int]
    best: int
    predicted_iou: float
    low_res: str
    iou: float | None
    segmentation: dict[str, Any] | None

    def prediction(self, threshold: float) -> RawPrediction:
        """A prediction of this shape, whose first-ranked mask is that of the answer."""
        inside = decode_mask({"size": self.masks_hw[1:], "counts": self.low_res})
        masks = np.full(self.masks_hw, threshold - 1, np.float32)
        masks[self.best][inside] = threshold + 1
        return RawPrediction(masks, np.full(self.masks_hw[0], self.predicted_iou, np.float32))


@dataclass(frozen=True)
class KeptAnswers:
    """All answers of one float artifact about one image.

    Attributes:
        prompts: In the order in which they were asked.
        clicking: IoU after each simulated click, by object; empty without simulated clicking.
    """

    prompts: tuple[KeptAnswer, ...]
    clicking: tuple[tuple[float, ...], ...]


def encode_mask(mask: NDArray[np.bool_]) -> dict[str, Any]:
    """HxW bool as COCO's run lengths, with the counts as text."""
    from pycocotools import mask as coco_mask

    rle = coco_mask.encode(np.asfortranarray(mask, dtype=np.uint8))
    return {"size": list(rle["size"]), "counts": rle["counts"].decode("ascii")}


def decode_mask(rle: Mapping[str, Any]) -> NDArray[np.bool_]:
    """HxW bool of what `encode_mask` returned."""
    from pycocotools import mask as coco_mask

    decoded = coco_mask.decode({"size": list(rle["size"]), "counts": rle["counts"].encode()})
    mask: NDArray[np.bool_] = decoded.astype(bool)
    return mask


class AnswerCache:
    """A file with the answers of float artifacts, by everything that they depend on.

    That is the artifact's bytes, the versions of the libraries that run it, the protocols with
    their seed, threads and device, and what the data set says of the image. Whether photo, masks
    and prompts are still the same is for the evaluator to see: answers hold their digests.

    Args:
        directory: Where the file lies, or will.
        plan: The run's.

    Raises:
        DataError: The file is damaged or cannot be written.
    """

    def __init__(self, directory: Path, plan: EvaluationPlan) -> None:
        self._path = directory / CACHE_NAME
        directory.mkdir(parents=True, exist_ok=True)
        self._prefixes = {a.name: _prefix(a, plan) for a in plan.artifacts if _is_kept(a, plan)}
        try:
            # Another run may be writing for a moment.
            self._file = sqlite3.connect(self._path, timeout=60)
            self._file.execute("CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, content)")
        except sqlite3.Error as error:
            raise self._unusable(error) from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    @property
    def wanted(self) -> tuple[str, ...]:
        """Names of the float artifacts whose answers are kept."""
        return tuple(self._prefixes)

    def find(self, record: ImageRecord) -> dict[str, KeptAnswers]:
        """Answers about an image by the artifact's name; those that are not there are left out.

        Raises:
            DataError: The file is damaged.
        """
        found = {}
        for name, prefix in self._prefixes.items():
            query = "SELECT content FROM answers WHERE key = ?"
            try:
                row = self._file.execute(query, (_key(prefix, record),)).fetchone()
            except sqlite3.Error as error:
                raise self._unusable(error) from None
            if row is not None:
                found[name] = _parse(row[0])
        return found

    def keep(self, record: ImageRecord, answers: Mapping[str, KeptAnswers]) -> None:
        """Adds answers about an image.

        Raises:
            DataError: The file cannot be written.
        """
        rows = [
            (_key(self._prefixes[name], record), json.dumps(asdict(kept)))
            for name, kept in answers.items()
        ]
        try:
            with self._file:
                self._file.executemany("INSERT OR REPLACE INTO answers VALUES (?, ?)", rows)
        except sqlite3.Error as error:
            raise self._unusable(error) from None

    def _unusable(self, error: sqlite3.Error) -> DataError:
        return DataError(f"the answers in {self._path} cannot be used ({error}): delete the file")


def _is_kept(artifact: Artifact, plan: EvaluationPlan) -> bool:
    """Of references that something is compared with."""
    return artifact.is_reference and any(
        other.reference == artifact.name for other in plan.artifacts if other != artifact
    )


def _prefix(artifact: Artifact, plan: EvaluationPlan) -> bytes:
    weights = artifact.metadata.weights_sha256 if isinstance(artifact.metadata, Peer) else ""
    software = installed_versions(("numpy", "pillow", "torch"))
    parts = (
        *(__version__, artifact.sha256, weights, _runtime_version(artifact), software),
        *(plan.protocols, plan.clicking, plan.threads, plan.device),
    )
    return hashlib.sha256(repr(parts).encode()).digest()


def _runtime_version(artifact: Artifact) -> str:
    """Empty for a checkpoint, which torch runs."""
    runtimes: dict[str, Runtime] = {runtime.name: runtime for runtime in all_runtimes()}
    found = runtimes.get(artifact.metadata.runtime)
    return found.runtime_version() if found else ""


def _key(prefix: bytes, record: ImageRecord) -> str:
    objects = [(item.id, item.area, item.box) for item in record.objects]
    return hashlib.sha256(prefix + repr((record.id, objects)).encode()).hexdigest()


def _parse(content: str) -> KeptAnswers:
    stored = json.loads(content)
    prompts = (answer | {"masks_hw": tuple(answer["masks_hw"])} for answer in stored["prompts"])
    return KeptAnswers(
        tuple(KeptAnswer(**answer) for answer in prompts),
        tuple(tuple(ious) for ious in stored["clicking"]),
    )

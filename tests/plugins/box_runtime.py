"""A runtime whose artifacts answer at once and by a known rule: with the prompt's box.

It is installed for the tests (`pythonpath` in pyproject.toml) as another package's runtime is, by
the entry point beside it. An artifact is a JSON file: its precision, and by how many pixels of the
low-resolution mask the box is cut on every side.
"""

import json
import os
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np

from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.model.config import NANO
from sqsam_deploy.model.description import describe
from sqsam_deploy.runtimes.base import Runtime
from sqsam_deploy.runtimes.session import Session

#: Environment: seconds an inference takes at least, and the inference that is interrupted.
SECONDS, INTERRUPTED = "BOX_RUNTIME_SECONDS", "BOX_RUNTIME_INTERRUPTED"


class BoxSession(Session):
    """Answers with the prompt's box (all of the image where there is none), cut by `shrink`.

    Mask 1 is the box, masks 0, 2 and 3 are empty; mask 1 is ranked first.
    """

    _calls: ClassVar[Counter[Path]] = Counter()

    def __init__(self, path: Path) -> None:
        content = json.loads(path.read_bytes())
        self._path, self._shrink = path, content["shrink"]
        self.metadata = describe(
            NANO, runtime="boxes", precision=content["precision"], weights_sha256="0" * 64
        )

    @property
    def calls(self) -> int:
        """Inferences of this artifact, by whatever session."""
        return self._calls[self._path]

    def execute(self, feeds: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        self._calls[self._path] += 1
        if str(self.calls) == os.environ.get(INTERRUPTED):
            raise KeyboardInterrupt
        time.sleep(float(os.environ.get(SECONDS, 0)))
        box = feeds["prompt_maps"][0, 1, ::2, ::2] > 0
        (y0, y1), (x0, x1) = (np.flatnonzero(box.any(axis))[[0, -1]] for axis in (1, 0))
        cut, size = self._shrink, NANO.mask_size
        masks = np.full((1, NANO.num_masks, size, size), -10, np.float32)
        masks[0, 1, y0 + cut : y1 + 1 - cut, x0 + cut : x1 + 1 - cut] = 10
        iou = np.array([[0.1, 0.8, 0.2, 0.3]], np.float32)
        return {"low_res_masks": masks, "iou_predictions": iou}


def write_boxes(path: Path, precision: str = "fp32", shrink: int = 0) -> Path:
    """Makes an artifact, whose name should end in `.boxes`."""
    path.write_text(json.dumps({"precision": precision, "shrink": shrink}), encoding="utf-8")
    return path


@dataclass(frozen=True, kw_only=True, eq=False)
class Boxes(Runtime):
    """See the module."""

    def lower(self, program: object, metadata: ArtifactMetadata, path: Path) -> None:
        write_boxes(path, metadata.precision)

    def open_session(self, path: Path, threads: int | None = None) -> BoxSession:
        return BoxSession(path)

    def read_metadata(self, path: Path) -> ArtifactMetadata:
        return BoxSession(path).metadata

    def minimum_runtime(self, metadata: ArtifactMetadata) -> str:
        return "1.0"

    def runtime_version(self) -> str:
        return "boxes 1.0"


RUNTIME = Boxes(
    name="boxes",
    title="Boxes",
    ending=".boxes",
    layouts={"fp32": ("nchw-float32",), "int8": ("nchw-float32",)},
    library="numpy",
)

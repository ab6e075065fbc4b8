"""The log of a run so far, from which an interrupted one continues."""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, Self

from sqsam_deploy.datasets.problems import Problem
from sqsam_deploy.evaluation.evaluator import ImageResult, SegmentResult
from sqsam_deploy.evaluation.results import ClickingResult, ObjectResult

RESUME_LOG_NAME = ".parity.partial.jsonl"


class ResumeLog:
    """One line of JSON an image, appended as soon as the image is done.

    Floats are written with every digit, so a resumed run ends with the same bytes as one that
    was never interrupted. A log of another plan or dataset, and a last line that was cut off,
    are ignored.

    Args:
        path: The file; removed by `discard`.
        fingerprint: Of the plan and the dataset.
    """

    def __init__(self, path: Path, fingerprint: str) -> None:
        self._path = path
        self.done = _read_done(path, fingerprint)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = path.open("w", encoding="utf-8")
        self._write({"fingerprint": fingerprint})
        self._kept = len(self.done)
        for result in self.done.values():
            self._write(_line(result))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self._file.close()
        if not self._kept:  # nothing to go on from
            self._path.unlink(missing_ok=True)

    def add(self, result: ImageResult) -> None:
        """Keeps the result of one image."""
        self._kept += 1
        self._write(_line(result))

    def discard(self) -> None:
        """Removes the file: the run is complete."""
        self._file.close()
        self._path.unlink(missing_ok=True)

    def _write(self, line: dict[str, Any]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()
        os.fsync(self._file.fileno())


def _read_done(path: Path, fingerprint: str) -> dict[str, ImageResult]:
    lines = _read_lines(path)
    try:
        if not lines or lines[0].get("fingerprint") != fingerprint:
            return {}
        return {line["image"]: _parse(line) for line in lines[1:]}
    except (AttributeError, KeyError, TypeError, ValueError):
        return {}  # not written by this package; the run begins anew


def _read_lines(path: Path) -> list[dict[str, Any]]:
    if not path.is_file():
        return []
    lines = []
    for text in path.read_text("utf-8", errors="replace").splitlines():
        try:
            lines.append(json.loads(text))
        except (ValueError, RecursionError):
            break  # cut off in the middle; what comes before it is whole
    return lines


def _line(result: ImageResult) -> dict[str, Any]:
    return {
        "image": result.image,
        "broken": result.broken,
        "objects": _rows(result.objects),
        "clicking": _rows(result.clicking),
        "segments": _rows(result.segments),
        "problems": _rows(result.problems),
    }


def _rows(
    rows: Sequence[ObjectResult | ClickingResult | SegmentResult | Problem],
) -> list[list[Any]]:
    return [list(asdict(row).values()) for row in rows]


def _parse(line: dict[str, Any]) -> ImageResult:
    return ImageResult(
        image=line["image"],
        objects=tuple(ObjectResult(*row) for row in line["objects"]),
        clicking=tuple(
            ClickingResult(artifact, image, item, area, tuple(ious))
            for artifact, image, item, area, ious in line["clicking"]
        ),
        segments=tuple(SegmentResult(*row) for row in line["segments"]),
        broken=line["broken"],
        problems=tuple(Problem(*row) for row in line["problems"]),
    )

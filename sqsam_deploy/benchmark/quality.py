"""Quality of what was timed: mIoU from reports of `sqsam-parity` that lie beside the results."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sqsam_deploy.artifact.documents import parse_json, validate_document
from sqsam_deploy.benchmark.result import Subject

#: Folder of such reports in the folder of the result files.
FOLDER = "parity"
#: Prompt kinds that tables and plots show, and what people call them.
PROMPTS = {"box": "box", "3-clicks": "3 clicks"}


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class _Mean(_Read):
    kind: str
    overall: float


class _Artifact(_Read):
    sha256: str
    runtime: str
    precision: str
    preset: str | None = None
    miou: tuple[_Mean, ...]


class _Photos(_Read):
    name: str
    images: int
    objects: int


class _Report(_Read):
    """The part of `parity.json` that is read here."""

    format: Literal["sqsam-parity/1", "sqsam-parity/2"] = Field(alias="schema")
    dataset: _Photos
    artifacts: dict[str, _Artifact]


@dataclass(frozen=True)
class Scores:
    """Scores of all reports, the newest first.

    A score belongs to the file that was timed where the SHA-256 says so, or else to another build
    of the same preset for the same runtime at the same precision: latency does not depend on
    weights. A float32 score is that of every runtime, as their masks are the same.
    """

    reports: Sequence[_Report] = ()

    def of(self, subject: Subject, kind: str) -> float | None:
        """mIoU in points for prompts of a kind; None where it was not measured."""
        for same in (_same_file, _same_build, _both_float):
            for report in self.reports:
                for artifact in report.artifacts.values():
                    if same(artifact, subject):
                        return next((m.overall for m in artifact.miou if m.kind == kind), None)
        return None

    def notes(self) -> list[str]:
        """The sets of photos that they were measured on, one sentence each."""
        sets = dict.fromkeys(report.dataset for report in self.reports)
        return [
            f"mIoU in points, by `sqsam-parity`: {photos.objects} objects of {photos.images} "
            f"photos of the set '{photos.name}'."
            for photos in sets
        ]


def _same_file(artifact: _Artifact, subject: Subject) -> bool:
    return artifact.sha256 == subject.sha256


def _same_build(artifact: _Artifact, subject: Subject) -> bool:
    mine = (artifact.preset, artifact.runtime, artifact.precision)
    return subject.role == "artifact" and mine == (
        subject.preset,
        subject.runtime,
        subject.precision,
    )


def _both_float(artifact: _Artifact, subject: Subject) -> bool:
    same = subject.role == "artifact" and artifact.preset == subject.preset
    return same and artifact.precision == subject.precision == "fp32"


def read_scores(results: Path) -> Scores:
    """The reports in the folder `parity` of a folder of results; none where there is no folder.

    Raises:
        ArtifactError: One of them is damaged or of another format.
    """
    paths = sorted((results / FOLDER).glob("*.json"), reverse=True)
    return Scores(
        tuple(
            validate_document(_Report, parse_json(path.read_bytes(), str(path)), str(path))
            for path in paths
        )
    )

"""`parity.json`: what a run found, in a versioned schema that other tools read."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sqsam_deploy._internal.atomic import atomic_write
from sqsam_deploy.artifact.documents import parse_json, validate_document
from sqsam_deploy.artifact.metadata import Precision, RuntimeName
from sqsam_deploy.errors import DataError
from sqsam_deploy.evaluation.gate import Outcome

SCHEMA: Literal["sqsam-parity/1"] = "sqsam-parity/1"
REPORT_NAME = "parity.json"
SCHEMA_FILE = Path(__file__).parent / "schema" / "sqsam-parity-1.schema.json"


class _Frozen(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True
    )


class DriftInterval(_Frozen):
    """Mean drift in mIoU points (positive: quality was lost) with its confidence interval."""

    mean: float
    low: float
    high: float


class DriftGroup(_Frozen):
    """Drift of a part of the objects; `kind` or `size` is null where all of them are meant."""

    kind: str | None
    size: Literal["small", "medium", "large"] | None
    objects: int
    pairs: int
    miou_before: float
    miou_after: float
    drift: DriftInterval


class MeanIou(_Frozen):
    """mIoU in points, of a prompt kind, overall and by COCO's sizes (null: no such object)."""

    kind: str
    objects: int
    overall: float
    small: float | None
    medium: float | None
    large: float | None


class MaskAgreement(_Frozen):
    """How alike the masks of two artifacts are, at the network's resolution.

    Attributes:
        other: The artifact compared with.
        mean: Mean IoU of the mask that `other` ranks first with the same mask of this one.
        low: Lower end of the mean's confidence interval.
        high: Upper end of it.
        low_percentile: 1st percentile of these IoUs.
        best_mask_changed: Share of prompts for which another mask is ranked first, 0 to 1.
        predicted_iou_shift: Mean absolute difference of the highest predicted IoU, in points.
    """

    other: str
    mean: float
    low: float
    high: float
    low_percentile: float
    best_mask_changed: float
    predicted_iou_shift: float


class AveragePrecision(_Frozen):
    """COCO's mask AP for a detector's boxes, in points; null where no object has that size."""

    ap: float
    ap50: float
    ap75: float
    ap_small: float | None
    ap_medium: float | None
    ap_large: float | None


class Clicking(_Frozen):
    """Simulated clicking: mean number of clicks to reach an IoU (20 where it was not reached).

    Attributes:
        target: The IoU, in points.
        clicks: Mean over objects.
        failed: Share of objects that never reached it, 0 to 1.
        added: Mean of clicks needed beyond the reference's, with its interval; null for it.
    """

    target: int
    clicks: float
    failed: float
    added: DriftInterval | None


class GateResult(_Frozen):
    """One artifact against the limit.

    Attributes:
        outcome: "passed", "failed" or "undecided".
        limit: The most drift, in mIoU points, or the least agreement, as an IoU.
        objects_needed: Where undecided, about how many objects would decide.
    """

    outcome: Outcome
    limit: float
    objects_needed: int | None


class BaselineResult(_Frozen):
    """An artifact against its own results of an earlier run (drift: earlier minus now)."""

    drift: DriftInterval
    objects: int
    gate: GateResult


class ArtifactReport(_Frozen):
    """Everything about one artifact.

    Attributes:
        sha256: Of the artifact's bytes, as in the manifest.
        weights_sha256: Of the checkpoint it was made of, as it says itself.
        reference: The float artifact it is compared with; its own path where it is that one.
        drift: Over all prompt kinds; zero for the reference.
        groups: Drift by prompt kind and size.
        predicted_iou_error: Mean absolute difference of predicted and true IoU, in points.
        gate: Of the drift; null for the reference.
        agreement: With the reference; null for it.
        agreement_gate: Of that agreement.
        sibling_agreement: With the first artifact of equal precision in another runtime.
        passed: Whether no gate failed and none is undecided.
    """

    sha256: str
    weights_sha256: str
    runtime: RuntimeName
    precision: Precision
    preset: str
    reference: str
    passed: bool
    gate: GateResult | None
    drift: DriftInterval
    miou: tuple[MeanIou, ...]
    groups: tuple[DriftGroup, ...]
    predicted_iou_error: float
    agreement: MaskAgreement | None
    agreement_gate: GateResult | None
    sibling_agreement: MaskAgreement | None
    average_precision: AveragePrecision | None
    clicking: tuple[Clicking, ...]
    baseline: BaselineResult | None


class BrokenImage(_Frozen):
    """An image that was left out, and why."""

    image: str
    reason: str


class DatasetReport(_Frozen):
    """What was asked about."""

    name: str
    images: int
    objects: int
    broken: tuple[BrokenImage, ...]


class ParityReport(_Frozen):
    """The whole run. The same inputs give the same bytes, whatever the number of processes.

    Attributes:
        schema_: "sqsam-parity/1"; the number grows when a reader must change.
        passed: Whether every gate passed.
        prompts: Prompt kinds in order.
        seed: Of random points and of the bootstrap.
        confidence: Of every interval, two-sided.
        artifacts: By path relative to the evaluated directory.
    """

    schema_: Literal["sqsam-parity/1"] = Field(alias="schema")
    passed: bool
    outcome: Outcome
    max_drift: float
    min_agreement: float
    confidence: float
    seed: int
    dataset: DatasetReport
    prompts: tuple[str, ...]
    artifacts: dict[str, ArtifactReport]


def gates_of(artifact: ArtifactReport) -> list[GateResult]:
    """Every gate the artifact had to pass."""
    baseline = artifact.baseline.gate if artifact.baseline else None
    gates = (artifact.gate, artifact.agreement_gate, baseline)
    return [gate for gate in gates if gate is not None]


def overall(outcomes: Sequence[Outcome]) -> Outcome:
    """One failure fails the run; without one, anything undecided leaves it undecided."""
    severe: tuple[Outcome, ...] = ("failed", "undecided")
    for outcome in severe:
        if outcome in outcomes:
            return outcome
    return "passed"


def write_report(path: Path, report: ParityReport) -> None:
    """Writes `parity.json`."""
    content = report.model_dump_json(by_alias=True, indent=2) + "\n"
    atomic_write(path, content.encode())


def read_report(path: Path) -> ParityReport:
    """Reads `parity.json`.

    Raises:
        DataError: The file is missing or not in this schema.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    return validate_document(
        ParityReport, parse_json(content, str(path), DataError), f"the report {path}", DataError
    )


def json_schema() -> str:
    """The JSON Schema, as the package ships it in `SCHEMA_FILE`."""
    return json.dumps(ParityReport.model_json_schema(by_alias=True), indent=2) + "\n"

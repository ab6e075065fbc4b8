"""`parity.json`: what a run found, in a versioned schema that other tools read."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sqsam_deploy._internal.atomic import atomic_write
from sqsam_deploy.artifact.metadata import PrecisionName, RuntimeName
from sqsam_deploy.evaluation.gate import Outcome

Measure = Literal["drift", "mask drift", "choice drift", "disagreement", "drift since baseline"]
SCHEMA: Literal["sqsam-parity/2"] = "sqsam-parity/2"
REPORT_NAME = "parity.json"
SCHEMA_FILE = Path(__file__).parent / "schema" / "sqsam-parity-2.schema.json"


class _Frozen(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, populate_by_name=True
    )


class DriftInterval(_Frozen):
    """Mean over photos in mIoU points (positive: quality was lost) with its confidence interval."""

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
    """COCO's mask AP for a detector's boxes, in points.

    Attributes:
        ap: Over thresholds 0.5 to 0.95.
        ap50: At 0.5.
        ap75: At 0.75.
        ap_small: Of small objects; null where there is none. So are the next two.
        ap_medium: Of medium ones.
        ap_large: Of large ones.
        ap_person: Of the category "person"; null where no image has one.
    """

    ap: float
    ap50: float
    ap75: float
    ap_small: float | None
    ap_medium: float | None
    ap_large: float | None
    ap_person: float | None = None


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


class Estimate(_Frozen):
    """A mean over photos with its two-sided confidence interval."""

    mean: float
    low: float
    high: float


class GateResult(_Frozen):
    """One thing that must not be too large, for one prompt kind.

    Attributes:
        measure: "drift"; its parts "mask drift" (the mask that the reference ranks first has
            changed) and "choice drift" (another mask is ranked first); "disagreement", one minus
            the IoU with the reference's mask; "drift since baseline".
        kind: The prompts.
        limit: The most that is allowed: mIoU points, or for "disagreement" a part of 1.
        estimate: What was seen, in the same unit.
        bound: Upper bound of the mean that also covers what was not seen.
        outcome: "passed" where the bound is within the limit; "failed" where the mean is over it,
            beyond chance after Holm's correction for all gates of the run; else "undecided".
        images: Photos it was measured on.
        images_needed: Where undecided, about how many photos decide with a chance of 80%; null
            where no number would.
        images_range: The same if the mean were one standard error lower, and higher.
    """

    measure: Measure
    kind: str
    limit: float
    estimate: Estimate
    bound: float
    outcome: Outcome
    images: int
    images_needed: int | None
    images_range: tuple[int | None, int | None]


class LargeLosses(_Frozen):
    """How many objects lost more than some points with any prompt.

    Attributes:
        points: More than these.
        objects: Of how many objects.
        objects_lost: How many did.
        objects_bound: Exact upper bound of their share (97.5%), if objects were independent.
        images: Of how many photos.
        images_lost: Photos with such an object.
        images_bound: Exact upper bound of their share (97.5%).
    """

    points: float
    objects: int
    objects_lost: int
    objects_bound: float
    images: int
    images_lost: int
    images_bound: float


class BaselineResult(_Frozen):
    """An artifact against its own results of an earlier run (drift: earlier minus now).

    Attributes:
        drift: Over all prompt kinds.
        objects: Compared: all of this run, which are all of the earlier one.
        images: Photos they are in.
    """

    drift: DriftInterval
    objects: int
    images: int


class ArtifactReport(_Frozen):
    """Everything about one artifact.

    Attributes:
        sha256: Of the artifact's bytes, as in the manifest.
        weights_sha256: Of the checkpoint it was made of, as it says itself.
        reference: The float artifact it is compared with; its own path where it is that one.
        drift: Over all prompt kinds; zero for the reference.
        groups: Drift by prompt kind and size.
        predicted_iou_error: Mean absolute difference of predicted and true IoU, in points.
        gates: All that it had to pass; the reference has those against a baseline only.
        large_losses: Objects that lost much; null for the reference.
        agreement: With the reference; null for it.
        sibling_agreement: With the first artifact of equal precision in another runtime.
        passed: Whether no gate failed and none is undecided.
    """

    sha256: str
    weights_sha256: str
    runtime: RuntimeName
    precision: PrecisionName
    preset: str
    reference: str
    passed: bool
    gates: tuple[GateResult, ...]
    drift: DriftInterval
    large_losses: LargeLosses | None
    miou: tuple[MeanIou, ...]
    groups: tuple[DriftGroup, ...]
    predicted_iou_error: float
    agreement: MaskAgreement | None
    sibling_agreement: MaskAgreement | None
    average_precision: AveragePrecision | None
    clicking: tuple[Clicking, ...]
    baseline: BaselineResult | None


class BrokenImage(_Frozen):
    """An image that was left out, and why."""

    image: str
    reason: str


class DatasetReport(_Frozen):
    """The question of a report.

    Attributes:
        name: The dataset's, with what it was narrowed to.
        images: That were used.
        objects: In them.
        broken: Images that were left out.
        category: Of every object that was asked about; null where there are several.
        available: Images there were to draw, where the run stopped as soon as its gate was
            decided; null where all of them were evaluated.
    """

    name: str
    images: int
    objects: int
    broken: tuple[BrokenImage, ...]
    category: str | None = None
    available: int | None = None


class ParityReport(_Frozen):
    """The whole run. The same inputs give the same bytes, whatever the number of processes.

    Attributes:
        schema_: "sqsam-parity/2"; the number grows when a reader must change.
        passed: Whether every gate passed; where nothing was compared there is none, and nothing
            passed.
        max_drift: Limit in mIoU points by prompt kind.
        min_agreement: The lowest mean IoU with the reference's masks that passes.
        prompts: Prompt kinds in order.
        seed: Of random points and of the random weights of bounds.
        confidence: Of every interval, two-sided.
        artifacts: By path relative to the evaluated directory.
    """

    schema_: Literal["sqsam-parity/2"] = Field(alias="schema")
    passed: bool
    outcome: Outcome
    max_drift: dict[str, float]
    min_agreement: float
    confidence: float
    seed: int
    dataset: DatasetReport
    prompts: tuple[str, ...]
    artifacts: dict[str, ArtifactReport]


def write_report(path: Path, report: ParityReport) -> None:
    """Writes `parity.json`."""
    content = report.model_dump_json(by_alias=True, indent=2) + "\n"
    atomic_write(path, content.encode())

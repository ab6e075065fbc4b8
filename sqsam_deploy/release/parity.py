"""What `sqsam-parity` found out about an export, as far as publishing depends on it."""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sqsam_deploy.artifact.documents import Frozen, parse_json, validate_document
from sqsam_deploy.artifact.manifest import ArtifactEntry, Manifest
from sqsam_deploy.errors import ArtifactError, GateError

PARITY_NAME = "parity.json"


class Drift(Frozen):
    """Float minus quantized, in mIoU points, with its confidence interval."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    mean: float
    low: float
    high: float


class _Covered(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    sha256: str
    passed: bool = True
    reference: str | None = None
    drift: Drift | None = None


class ParityResult(BaseModel):
    """The part of `parity.json` that publishing reads; everything else in it is left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    format: Literal["sqsam-parity/1", "sqsam-parity/2"] = Field(alias="schema")
    passed: bool = Field(strict=True)
    outcome: str | None = None
    artifacts: dict[str, _Covered]

    def drift_of(self, artifact: ArtifactEntry) -> Drift | None:
        """Drift of this very artifact; None where it was not measured, or is the reference."""
        covered = self.artifacts.get(artifact.path)
        if covered is None or covered.sha256 != artifact.sha256:
            return None
        return None if covered.reference == artifact.path else covered.drift


def read_parity(path: Path) -> ParityResult:
    """The parity result in a file.

    Raises:
        ArtifactError: It is missing, damaged, or of another format.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ArtifactError(
            f"there is no parity result {path}: run sqsam-parity on the directory first, "
            "or publish with --allow-unverified"
        ) from None
    return validate_document(ParityResult, parse_json(content, str(path)), str(path))


def require_passed(result: ParityResult, manifest: Manifest) -> None:
    """Refuses what was not evaluated, or evaluated and found wanting.

    Raises:
        GateError: The gate did not pass.
        ArtifactError: The gate is undecided, or a quantized artifact was not evaluated, or its
            bytes changed since.
    """
    if result.outcome == "undecided":
        raise ArtifactError(
            "the parity gate is undecided: evaluate more photos, or publish with "
            "--allow-unverified, which the release then says"
        )
    if not result.passed:
        raise GateError(
            "the parity gate did not pass: better artifacts are needed, or --allow-unverified, "
            "which the release then says"
        )
    for artifact in manifest.artifacts:
        if is_quantized(artifact):
            _require_covered(result, artifact)


def is_quantized(artifact: ArtifactEntry) -> bool:
    """Whether masks may have got worse by rounding to int8; parity compares masks only."""
    metadata = artifact.metadata
    return metadata.task == "segmentation" and metadata.precision.startswith("int8")


def _require_covered(result: ParityResult, artifact: ArtifactEntry) -> None:
    covered = result.artifacts.get(artifact.path)
    if covered is None:
        raise ArtifactError(
            f"the parity result does not cover {artifact.path}: run sqsam-parity on it"
        )
    if covered.sha256 != artifact.sha256:
        raise ArtifactError(
            f"the parity result is of another {artifact.path} (its SHA-256 differs): "
            "run sqsam-parity again"
        )
    if not covered.passed:
        raise GateError(f"the parity gate did not pass for {artifact.path}: see the parity report")
    if covered.drift is None:
        raise ArtifactError(f"the parity result gives no drift for {artifact.path}")

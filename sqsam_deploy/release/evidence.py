"""Quality of an export, as a release states it: results of `sqsam-parity` and `sqsam-bench`."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sqsam_deploy.artifact.documents import parse_json, validate_document
from sqsam_deploy.artifact.manifest import ArtifactEntry, Manifest
from sqsam_deploy.benchmark.result import BenchmarkResult, Measurement, Setup
from sqsam_deploy.benchmark.resultfile import read_result
from sqsam_deploy.errors import ArtifactError, GateError
from sqsam_deploy.networks.precisions import PRECISIONS
from sqsam_deploy.release.document import Drift, Latency

PARITY_NAME = "parity.json"


class _Read(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class _MeanIou(_Read):
    kind: str
    overall: float


class _Covered(_Read):
    sha256: str
    passed: bool = True
    reference: str | None = None
    drift: Drift | None = None
    miou: tuple[_MeanIou, ...] = ()


class _Photos(_Read):
    name: str
    images: int
    objects: int


class ParityResult(_Read):
    """The part of `parity.json` that publishing reads; everything else in it is left alone."""

    format: Literal["sqsam-parity/1", "sqsam-parity/2"] = Field(alias="schema")
    passed: bool = Field(strict=True)
    outcome: str | None = None
    dataset: _Photos | None = None
    artifacts: dict[str, _Covered]

    def drift_of(self, artifact: ArtifactEntry) -> Drift | None:
        """Drift of this very artifact; None where it was not measured, or is the reference."""
        covered = self.artifacts.get(artifact.path)
        if covered is None or covered.sha256 != artifact.sha256:
            return None
        return None if covered.reference == artifact.path else covered.drift

    def miou_of(self, artifact: ArtifactEntry) -> dict[str, float]:
        """Prompt kind -> mIoU in points of this very artifact; empty where it was not measured."""
        covered = self.artifacts.get(artifact.path)
        if covered is None or covered.sha256 != artifact.sha256:
            return {}
        return {row.kind: row.overall for row in covered.miou}


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
    precision = PRECISIONS.get(artifact.metadata.precision)
    # One that this version does not know may round as well.
    rounded = precision is None or precision.is_quantized
    return artifact.metadata.task == "segmentation" and rounded


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


def read_latencies(paths: Sequence[Path], manifest: Manifest) -> dict[str, tuple[Latency, ...]]:
    """Artifact path -> its measurements, device by device.

    Only measurements whose hash is the artifact's own count: a result of other bytes says
    nothing about this release.

    Raises:
        ArtifactError: A file is no result, or measured none of the artifacts.
    """
    rows: dict[str, list[Latency]] = {}
    for path in paths:
        found = _rows(read_result(path), manifest)
        if not found:
            raise ArtifactError(
                f"{path} measured none of these artifacts (no SHA-256 agrees): "
                "run sqsam-bench on this directory"
            )
        for artifact, latency in found:
            rows.setdefault(artifact, []).append(latency)
    return {artifact: tuple(latencies) for artifact, latencies in rows.items()}


def _rows(result: BenchmarkResult, manifest: Manifest) -> list[tuple[str, Latency]]:
    paths = {artifact.sha256: artifact.path for artifact in manifest.artifacts}
    return [
        (paths[measurement.subject.sha256], _latency(result, measurement))
        for measurement in result.measurements
        if measurement.subject.sha256 in paths and measurement.inference.summary
    ]


def _latency(result: BenchmarkResult, measurement: Measurement) -> Latency:
    summary = measurement.inference.summary
    assert summary is not None  # _rows leaves out measurements without one
    return Latency(
        device=result.device.name,
        setup=_setup(measurement.setup),
        median=summary.median.value,
        low=summary.median.low,
        high=summary.median.high,
        believable=measurement.noise.believable if measurement.noise else None,
    )


def _setup(setup: Setup) -> str:
    threads = f", {setup.threads} thread{'s' * (setup.threads != 1)}" if setup.threads else ""
    batch = f", batch {setup.batch}" if setup.batch != 1 else ""
    variant = f", {setup.variant}" if setup.variant else ""
    return f"{setup.compute}{threads}{batch}{variant}"

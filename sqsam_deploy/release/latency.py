"""Latency of a release's artifacts, taken from `sqsam-bench` result files."""

from collections.abc import Sequence
from pathlib import Path

from sqsam_deploy.artifact.manifest import Manifest
from sqsam_deploy.benchmark.result import BenchmarkResult, Measurement, Setup
from sqsam_deploy.benchmark.resultfile import read_result
from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.release.document import Latency


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

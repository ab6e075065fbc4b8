"""Result files: their names, reading them strictly, writing them whole."""

import re
from datetime import UTC, datetime
from pathlib import Path

from sqsam_deploy._internal.atomic import atomic_write
from sqsam_deploy.artifact.documents import load_versioned, validate_document
from sqsam_deploy.benchmark.noise import concluded
from sqsam_deploy.benchmark.ratios import find_ratios
from sqsam_deploy.benchmark.result import RESULT_VERSION, BenchmarkResult, Device
from sqsam_deploy.errors import ArtifactError


def result_name(result: BenchmarkResult) -> str:
    """`amd-epyc-2-cores-20261121-130501.json`: the device, then the time it was made."""
    stamp = re.sub(r"\D", "", result.created)
    return f"{device_slug(result.device)}-{stamp[:8]}-{stamp[8:]}.json"


def device_slug(device: Device) -> str:
    """The device's name as a part of a file name."""
    cores = f"-{device.cores}-cores" if device.kind == "cpu" else ""
    name = re.sub(r"[^a-z0-9]+", "-", device.name.lower()).strip("-")
    return f"{name}{cores}"


def write_result(path: Path, result: BenchmarkResult) -> Path:
    """Writes a result file, whole or not at all, and returns its path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    atomic_write(path, (result.model_dump_json(exclude_none=True) + "\n").encode())
    return path


def read_result(path: Path) -> BenchmarkResult:
    """A result file; what follows from its samples is worked out again.

    Raises:
        ArtifactError: It is missing, damaged, not a result, or a newer package wrote it.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ArtifactError(f"{path} does not exist") from None
    document = load_versioned(content, str(path), "result_version", RESULT_VERSION)
    result = validate_document(BenchmarkResult, document, str(path))
    measurements = concluded(result.measurements, result.environment)
    ratios = find_ratios(measurements) if result.ratios else ()
    return result.model_copy(update={"measurements": measurements, "ratios": ratios})


def read_results(directory: Path) -> list[BenchmarkResult]:
    """Every result file of a directory, oldest first.

    Raises:
        ArtifactError: One of them is damaged.
    """
    results = [read_result(path) for path in sorted(directory.glob("*.json"))]
    return sorted(results, key=lambda result: result.created)


def now() -> str:
    """This moment as result files write it, in UTC."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

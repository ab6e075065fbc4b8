"""A small export of every runtime with its evidence, and made-up results of a parity run."""

import itertools
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest

from sqsam_deploy.artifact.manifest import (
    ArtifactEntry,
    Manifest,
    WeightsEntry,
    file_entries,
)
from sqsam_deploy.datasets import bundled_dataset
from sqsam_deploy.networks.agreement import PromptComparison, make_probes
from sqsam_deploy.pipeline.evidence import Evidence
from sqsam_deploy.report.export import export_page
from sqsam_deploy.runtimes import open_session
from sqsam_deploy.runtimes.registry import runtime_of
from tests.evaluation.conftest import (  # noqa: F401
    dataset,
    make_report,
    plan,
    segmenters,
    sessions,
    small_dataset,
)
from tests.tiny_network import (
    TINY,
    TINY_ARTIFACTS,
    tiny_folded,
    tiny_metadata,
    tiny_quantized,
)


@dataclass(frozen=True)
class SmallExport:
    """A directory, its manifest, and what the report is made from."""

    directory: Path
    manifest: Manifest
    evidence: Evidence


@pytest.fixture(scope="session")
def small_export(tiny_artifact, tmp_path_factory) -> SmallExport:
    directory = tmp_path_factory.mktemp("small")
    for name in TINY_ARTIFACTS:
        made = tiny_artifact(name)
        (shutil.copytree if made.is_dir() else shutil.copyfile)(made, directory / name)
    records = itertools.islice(bundled_dataset("sample"), 2)
    probes = make_probes(records, open_session(directory / "tiny-fp32.onnx"), TINY)
    evidence = Evidence(tiny_folded().steps, (tiny_quantized(),), probes)
    entries = tuple(_entry(directory / name, evidence) for name in TINY_ARTIFACTS)
    manifest = Manifest(
        name="squeezesam-tiny",
        preset="nano",
        weights=WeightsEntry(name="tiny.safetensors", sha256="1" * 64, license="for tests"),
        calibration=None,
        tools={"torch": "2.13"},
        git_revision=None,
        artifacts=entries,
    )
    return SmallExport(directory, manifest, evidence)


@pytest.fixture(scope="session")
def page(small_export) -> str:
    return export_page(small_export.directory, small_export.manifest, small_export.evidence)


def _entry(path: Path, evidence: Evidence) -> ArtifactEntry:
    comparison = PromptComparison(evidence.probes, images=2)
    measured = comparison.measure(open_session(path), limit=0.5, executor="this machine")
    evidence.answers[path.name] = measured.answers
    evidence.checks[path.name] = runtime_of(path).on_device(tiny_metadata(path.name), path).checks
    return ArtifactEntry(
        path=path.name,
        files=file_entries(path.parent, [path]),
        metadata=tiny_metadata(path.name),
        agreement=measured.agreement,
        minimum_runtime="a runtime",
    )

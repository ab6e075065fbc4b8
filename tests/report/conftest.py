"""A small export of every runtime with its evidence, and made-up results of a parity run."""

import itertools
from dataclasses import dataclass
from pathlib import Path

import pytest
from executorch.exir import EdgeProgramManager

from sqsam_deploy.artifact.manifest import (
    ArtifactEntry,
    Manifest,
    WeightsEntry,
    file_entries,
)
from sqsam_deploy.artifact.metadata import arrange_inputs
from sqsam_deploy.datasets import bundled_dataset
from sqsam_deploy.model.description import default_inputs, describe
from sqsam_deploy.networks.agreement import PromptComparison, make_probes
from sqsam_deploy.pipeline.evidence import Evidence
from sqsam_deploy.quantization import export_fp16, export_fp32
from sqsam_deploy.report.export import export_page
from sqsam_deploy.runtimes import open_session
from sqsam_deploy.runtimes.executorch.lowering import delegate
from sqsam_deploy.runtimes.registry import find_runtime
from tests.evaluation.conftest import (  # noqa: F401
    dataset,
    make_report,
    plan,
    segmenters,
    sessions,
    small_dataset,
)
from tests.tiny_network import TINY, tiny_folded, tiny_quantized

TARGETS = {
    "tiny-fp32.onnx": ("onnx", "fp32"),
    "tiny-int8.onnx": ("onnx", "int8"),
    "tiny-fp16.pte": ("executorch", "fp16"),
    "tiny-int8.pte": ("executorch", "int8"),
    "tiny-int8.mlpackage": ("coreml", "int8"),
    "tiny-fp16-coreml.pte": ("executorch-coreml", "fp16"),
}


@dataclass(frozen=True)
class SmallExport:
    """A directory, and what lowering says of its `.pte` files: operators outside, delegates."""

    directory: Path
    manifest: Manifest
    evidence: Evidence
    lowered: dict[str, tuple[int, int]]


@pytest.fixture(scope="session")
def programs() -> dict[str, object]:
    folded = tiny_folded()
    return {
        "fp32": export_fp32(folded),
        "fp16": export_fp16(folded),
        "int8": tiny_quantized().program,
    }


@pytest.fixture(scope="session")
def small_export(programs, tmp_path_factory) -> SmallExport:
    directory = tmp_path_factory.mktemp("small")
    lowered = {}
    for name, (runtime, precision) in TARGETS.items():
        path, program = directory / name, programs[precision]
        if runtime == "executorch":
            edge = delegate(program, _metadata(path))
            lowered[name] = _outside_and_calls(edge)
            path.write_bytes(edge.to_executorch().buffer)
        else:
            find_runtime(runtime).lower(program, _metadata(path), path)
    records = itertools.islice(bundled_dataset("sample"), 2)
    probes = make_probes(records, open_session(directory / "tiny-fp32.onnx"), TINY)
    evidence = Evidence(tiny_folded().steps, (tiny_quantized(),), probes)
    entries = tuple(_entry(directory / name, evidence) for name in TARGETS)
    manifest = Manifest(
        name="squeezesam-tiny",
        preset="nano",
        weights=WeightsEntry(name="tiny.safetensors", sha256="1" * 64, licence="for tests"),
        calibration=None,
        tools={"torch": "2.13"},
        git_revision=None,
        artifacts=entries,
    )
    return SmallExport(directory, manifest, evidence, lowered)


def _outside_and_calls(edge: EdgeProgramManager) -> tuple[int, int]:
    nodes = edge.exported_program().graph.nodes
    called = [getattr(n.target, "__name__", "") for n in nodes if n.op == "call_function"]
    calls = called.count("executorch_call_delegate")
    return len(called) - calls - called.count("getitem"), calls


@pytest.fixture(scope="session")
def page(small_export) -> str:
    return export_page(small_export.directory, small_export.manifest, small_export.evidence)


def _metadata(path: Path):
    runtime, precision = TARGETS[path.name]
    layout = "image" if runtime == "coreml" else "nchw-float32"
    return describe(
        TINY,
        runtime=runtime,
        precision=precision,
        weights_sha256="1" * 64,
        inputs=arrange_inputs(default_inputs(TINY), layout),
        **({"deployment_target": "iOS17"} if "coreml" in runtime else {}),
    )


def _entry(path: Path, evidence: Evidence) -> ArtifactEntry:
    comparison = PromptComparison(evidence.probes, images=2)
    measured = comparison.measure(open_session(path), limit=0.5, executor="this machine")
    evidence.answers[path.name] = measured.answers
    return ArtifactEntry(
        path=path.name,
        files=file_entries(path.parent, [path]),
        metadata=_metadata(path),
        agreement=measured.agreement,
        minimum_runtime="a runtime",
    )

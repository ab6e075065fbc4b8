"""The job of `sqsam-export`: artifacts, and `report.html`, the page that explains them.

The page holds shares of time, which no two runs have alike, so no manifest lists it and nothing
that reads an export directory depends on it.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from sqsam_deploy._internal.atomic import atomic_write
from sqsam_deploy._internal.progress import SilentSteps, Steps
from sqsam_deploy.artifact.manifest import Manifest
from sqsam_deploy.evaluation import float_modules
from sqsam_deploy.evaluation.float_modules import Study, describe_choice, study_modules
from sqsam_deploy.pipeline import export as pipeline
from sqsam_deploy.pipeline.evidence import Evidence
from sqsam_deploy.pipeline.request import ExportRequest
from sqsam_deploy.report.export_layers import display_name, layer_plot, quantized_layers
from sqsam_deploy.report.export_overlays import overlays
from sqsam_deploy.report.export_sections import (
    divided_times,
    folded_rules,
    key_facts,
    operators_by_runtime,
    profiled_run,
    sized_artifacts,
)
from sqsam_deploy.report.export_sensitivity import sensitivity_plot, shown_interval
from sqsam_deploy.report.page import render
from sqsam_deploy.runtimes.device import DeviceCheck
from sqsam_deploy.runtimes.inspection import KINDS, Inspection
from sqsam_deploy.runtimes.profiling import ProfiledRun
from sqsam_deploy.runtimes.registry import runtime_of_metadata

REPORT_NAME = "report.html"


def export(request: ExportRequest, steps: Steps | None = None) -> Manifest:
    """Builds every target, executes it, explains it, and puts all of that in place at once.

    Args:
        request: What to build from what.
        steps: Receives each step as it begins.

    Raises:
        GateError: An artifact agrees too little with the float network, or nothing holds the
            request's limit of the drift.
        UsageError: A recipe, a runtime or a module to keep in float does not exist.
        SqsamError: The checkpoint, the calibration data or the output cannot be used.
    """
    request, steps = request.resolved(), steps or SilentSteps()
    if not float_modules.is_asked_for(request):
        return pipeline.export(request, steps, write_export_report)
    with pipeline.open_programs(request, steps) as programs:
        request, study = study_modules(request, programs, steps)
        explain = partial(write_export_report, study=study)
        notes = study.model_dump(mode="json", exclude_none=True)
        return pipeline.export(request, steps, explain, notes, programs)


def step_count(request: ExportRequest) -> int:
    """Steps that `export` reports for a request."""
    return float_modules.step_count(request) + pipeline.step_count(request, write_export_report)


def write_export_report(
    directory: Path, manifest: Manifest, evidence: Evidence, study: Study | None = None
) -> Path:
    """Writes the page beside the artifacts, profiling those that can run here.

    Args:
        directory: Holds every artifact of the manifest.
        manifest: Of the directory.
        evidence: From the export itself.
        study: What int8 costs in every module, where it was measured.

    Raises:
        ArtifactError: An artifact is damaged.
    """
    path = directory / REPORT_NAME
    atomic_write(path, export_page(directory, manifest, evidence, study).encode())
    return path


def export_page(
    directory: Path, manifest: Manifest, evidence: Evidence, study: Study | None = None
) -> str:
    """The page as HTML.

    Raises:
        ArtifactError: An artifact is damaged.
    """
    inspections = _inspections(directory, manifest)
    runs = _runs(directory, manifest)
    sizes = sized_artifacts(manifest, inspections)
    layers = [quantized_layers(quantized) for quantized in evidence.quantized]
    operators = operators_by_runtime(manifest, inspections, runs)
    return render(
        "export.html.j2",
        manifest=manifest,
        facts=key_facts(sizes, operators, layers),
        sizes=sizes,
        kinds=KINDS,
        overlays=overlays(manifest, evidence),
        layers=[(each, layer_plot(each)) for each in layers],
        display_name=display_name,
        shown_interval=shown_interval,
        study=study,
        sensitivity=None if study is None else sensitivity_plot(study.sensitivity),
        choice=None if study is None or study.choice is None else describe_choice(study.choice),
        operators=operators,
        rules=folded_rules(evidence.folding),
        times=divided_times(runs),
        warnings=_device_warnings(evidence.checks),
    )


def _inspections(directory: Path, manifest: Manifest) -> dict[str, Inspection]:
    found = {}
    for entry in manifest.artifacts:
        path = directory / entry.path
        found[entry.path] = runtime_of_metadata(entry.metadata, path).inspect(path)
    return found


def _device_warnings(
    checks: Mapping[str, Sequence[DeviceCheck]],
) -> list[tuple[DeviceCheck, list[str]]]:
    """Rules of phones that are not kept, each with the artifacts that break it."""
    found: dict[DeviceCheck, list[str]] = {}
    for name, outcomes in checks.items():
        for check in outcomes:
            if check.violations:
                found.setdefault(check, []).append(name)
    return sorted(found.items(), key=lambda item: item[0].rule.key)


def _runs(directory: Path, manifest: Manifest) -> dict[str, ProfiledRun | None]:
    return {
        entry.path: profiled_run(directory / entry.path, entry.metadata)
        for entry in manifest.artifacts
    }

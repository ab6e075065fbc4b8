"""The job of `sqsam-export`: artifacts, and the page that explains them."""

from sqsam_deploy._internal.progress import Steps
from sqsam_deploy.artifact.manifest import Manifest
from sqsam_deploy.export_report.report import write_export_report
from sqsam_deploy.pipeline import export as pipeline
from sqsam_deploy.pipeline.request import ExportRequest


def export(request: ExportRequest, steps: Steps | None = None) -> Manifest:
    """Builds every target, executes it, explains it, and puts all of that in place at once.

    Args:
        request: What to build from what.
        steps: Told what is being done.

    Raises:
        GateError: An artifact agrees too little with the float network.
        UsageError: A recipe, a runtime or a module to keep in float does not exist.
        SqsamError: The checkpoint, the calibration data or the output cannot be used.
    """
    return pipeline.export(request, steps, write_export_report)


def step_count(request: ExportRequest) -> int:
    """Steps that `export` reports for a request."""
    return pipeline.step_count(request, write_export_report)

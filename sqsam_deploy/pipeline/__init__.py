"""From a checkpoint to a directory of executed artifacts: stages strung together."""

from sqsam_deploy.pipeline.export import ExportRequest, export
from sqsam_deploy.pipeline.targets import Target, targets_for

__all__ = ["ExportRequest", "Target", "export", "targets_for"]

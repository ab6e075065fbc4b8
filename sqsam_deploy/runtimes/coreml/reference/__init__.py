"""Interprets saved ML Programs with torch, where Core ML itself does not run."""

from sqsam_deploy.runtimes.coreml.reference.executor import ReferenceExecutor

__all__ = ["ReferenceExecutor"]

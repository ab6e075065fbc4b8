"""Core ML: `.mlpackage` directories, lowered anywhere, run natively on macOS.

Elsewhere `reference` interprets the saved ML Program, so that no artifact leaves unexecuted.
"""

from sqsam_deploy.runtimes.coreml.lowering import lower
from sqsam_deploy.runtimes.coreml.session import executor, open_session, read_metadata
from sqsam_deploy.runtimes.coreml.specs import input_specs, minimum_runtime

__all__ = [
    "executor",
    "input_specs",
    "lower",
    "minimum_runtime",
    "open_session",
    "read_metadata",
]

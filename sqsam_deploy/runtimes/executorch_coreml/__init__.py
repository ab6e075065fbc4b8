"""ExecuTorch programs whose whole network is one Core ML delegate.

Off macOS the ML Program inside is taken out and run by Core ML's reference executor.
"""

from sqsam_deploy.artifact.metadata import input_specs
from sqsam_deploy.runtimes.executorch_coreml.lowering import lower
from sqsam_deploy.runtimes.executorch_coreml.session import executor, open_session, read_metadata
from sqsam_deploy.runtimes.executorch_coreml.specs import minimum_runtime

__all__ = [
    "executor",
    "input_specs",
    "lower",
    "minimum_runtime",
    "open_session",
    "read_metadata",
]

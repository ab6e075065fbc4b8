"""ExecuTorch: `.pte` files whose arithmetic runs in XNNPACK."""

from sqsam_deploy.artifact.metadata import input_specs
from sqsam_deploy.runtimes.executorch.lowering import lower
from sqsam_deploy.runtimes.executorch.session import (
    ExecutorchSession,
    executor,
    open_session,
    read_metadata,
)
from sqsam_deploy.runtimes.executorch.specs import minimum_runtime

__all__ = [
    "ExecutorchSession",
    "executor",
    "input_specs",
    "lower",
    "minimum_runtime",
    "open_session",
    "read_metadata",
]

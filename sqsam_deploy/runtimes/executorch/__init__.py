"""ExecuTorch: `.pte` files whose arithmetic runs in XNNPACK."""

from sqsam_deploy.runtimes.executorch.lowering import lower
from sqsam_deploy.runtimes.executorch.session import (
    ExecutorchSession,
    executor,
    open_session,
    read_metadata,
)
from sqsam_deploy.runtimes.executorch.specs import minimum_runtime
from sqsam_deploy.runtimes.metadata import input_specs

__all__ = [
    "ExecutorchSession",
    "executor",
    "input_specs",
    "lower",
    "minimum_runtime",
    "open_session",
    "read_metadata",
]

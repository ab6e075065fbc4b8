"""Trained SqueezeSAM weights to ExecuTorch, Core ML and ONNX artifacts, executed and compared.

The names below are the package's front door. Each is imported when it is first used, so that
importing the package itself costs nothing.
"""

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sqsam_deploy.version import __version__

if TYPE_CHECKING:
    from sqsam_deploy.checkpoint import load_checkpoint
    from sqsam_deploy.evaluation.request import ParityRequest
    from sqsam_deploy.pipeline.request import ExportRequest
    from sqsam_deploy.predictor import Predictor
    from sqsam_deploy.report.export import export
    from sqsam_deploy.report.parity import evaluate
    from sqsam_deploy.runtimes import open_session

# onnxruntime reads it when it is loaded: telemetry is on by default in its wheels (seen in 1.31).
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = [
    "ExportRequest",
    "ParityRequest",
    "Predictor",
    "__version__",
    "evaluate",
    "export",
    "load_checkpoint",
    "open_session",
]

_HOMES = {
    "ExportRequest": "pipeline.request",
    "ParityRequest": "evaluation.request",
    "Predictor": "predictor",
    "evaluate": "report.parity",
    "export": "report.export",
    "load_checkpoint": "checkpoint",
    "open_session": "runtimes",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    # The next access finds it without this function.
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})

"""ONNX files: int8 as QDQ, run by ONNX Runtime."""

from sqsam_deploy.artifact.metadata import input_specs
from sqsam_deploy.runtimes.onnx.lowering import lower
from sqsam_deploy.runtimes.onnx.model_file import read_metadata
from sqsam_deploy.runtimes.onnx.session import OnnxSession, executor, open_session
from sqsam_deploy.runtimes.onnx.specs import minimum_runtime

__all__ = [
    "OnnxSession",
    "executor",
    "input_specs",
    "lower",
    "minimum_runtime",
    "open_session",
    "read_metadata",
]

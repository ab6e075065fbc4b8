"""Every byte of an artifact, accounted for: one module a format."""

from pathlib import Path

from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.export_report.size_breakdown.coreml import coreml_parts
from sqsam_deploy.export_report.size_breakdown.executorch import executorch_parts
from sqsam_deploy.export_report.size_breakdown.onnx import onnx_parts
from sqsam_deploy.export_report.size_breakdown.parts import KINDS, Kind, Part, bytes_by_kind

__all__ = ["KINDS", "Kind", "Part", "bytes_by_kind", "parts_of"]

_READERS = {".pte": executorch_parts, ".onnx": onnx_parts, ".mlpackage": coreml_parts}


def parts_of(path: Path) -> tuple[Part, ...]:
    """What the bytes of a `.pte`, `.onnx` or `.mlpackage` are; they add up to its size.

    Raises:
        ArtifactError: The artifact is damaged or of another format.
    """
    if path.suffix not in _READERS:
        raise ArtifactError(f"{path} cannot be taken apart: it is no .pte, .onnx or .mlpackage")
    return _READERS[path.suffix](path)

"""The .onnx file: what travels in it beside the graph."""

from pathlib import Path
from typing import TYPE_CHECKING

from sqsam_deploy.artifact.files import require_file
from sqsam_deploy.artifact.metadata import METADATA_KEY, ArtifactMetadata, stored_metadata
from sqsam_deploy.errors import ArtifactError

if TYPE_CHECKING:
    from onnx import ModelProto


def read_metadata(path: Path) -> ArtifactMetadata:
    """The metadata stored in a file.

    Raises:
        ArtifactError: The file is missing, damaged or was not written by this tool.
    """
    return metadata_of(read_model(path), path)


def read_model(path: Path) -> "ModelProto":
    """The file as a protocol buffer.

    Raises:
        ArtifactError: The file is missing or no protocol buffer.
    """
    import onnx
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

    require_file(path)
    try:
        return onnx.load_model_from_string(path.read_bytes())
    except DecodeError:
        raise ArtifactError(
            f"{path} is damaged or no ONNX file: export it or download it again"
        ) from None


def metadata_of(model: "ModelProto", path: Path) -> ArtifactMetadata:
    """The metadata that `lower` stored.

    Raises:
        ArtifactError: There is none, or it is of another version.
    """
    stored = {entry.key: entry.value for entry in model.metadata_props}
    if METADATA_KEY not in stored:
        raise ArtifactError(
            f"{path} has no '{METADATA_KEY}' metadata: it is cut short or no artifact of this tool"
        )
    return stored_metadata(stored[METADATA_KEY], str(path))

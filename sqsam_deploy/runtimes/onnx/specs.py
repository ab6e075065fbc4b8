"""What an ONNX artifact takes, and what it needs."""

from sqsam_deploy.artifact.metadata import ArtifactMetadata

#: ONNX operator set of every file.
OPSET = 18
#: File format of ONNX 1.13, which brought that operator set; torch writes a later one, of which
#: only the stripped metadata of nodes is used, and which older runtimes refuse.
IR_VERSION = 8


def minimum_runtime(metadata: ArtifactMetadata) -> str:
    """Lowest version of ONNX Runtime that implements the operator set and reads the file format."""
    return "ONNX Runtime 1.15"

"""What these artifacts look like from outside."""

from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.runtimes import coreml


def minimum_runtime(metadata: ArtifactMetadata) -> str:
    """ExecuTorch reads it; the delegate inside asks for this iOS."""
    return f"ExecuTorch 1.4 with the Core ML backend, {coreml.minimum_runtime(metadata)}"

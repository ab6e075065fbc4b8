"""What a .pte takes, and what it needs."""

from sqsam_deploy.artifact.metadata import ArtifactMetadata


def minimum_runtime(metadata: ArtifactMetadata) -> str:
    """Lowest version of the ExecuTorch runtime that these files are known to run on.

    ExecuTorch promises that a runtime reads files of the release before it and later ones.
    """
    return "ExecuTorch 1.4 with the XNNPACK backend"

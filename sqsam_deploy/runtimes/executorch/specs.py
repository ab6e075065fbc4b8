"""What a .pte takes, and what it needs."""

from sqsam_deploy.model.config import ModelConfig
from sqsam_deploy.runtimes.metadata import ArtifactMetadata, TensorSpec, default_inputs


def input_specs(config: ModelConfig) -> tuple[TensorSpec, ...]:
    """Inputs of an artifact of this preset, in the order they are passed."""
    return default_inputs(config)


def minimum_runtime(metadata: ArtifactMetadata) -> str:
    """Lowest version of the ExecuTorch runtime that these files are known to run on.

    ExecuTorch promises that a runtime reads files of the release before it and later ones.
    """
    return "ExecuTorch 1.4 with the XNNPACK backend"

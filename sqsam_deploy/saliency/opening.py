"""One function that opens any source of saliency maps."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.artifact.metadata import METADATA_KEY
from sqsam_deploy.checkpoint.bundled import weights_file
from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.networks.saliency import TorchSaliency, load_saliency, square_of
from sqsam_deploy.prompts.saliency import saliency_of_logits
from sqsam_deploy.runtimes.onnx import RUNTIME as ONNX
from sqsam_deploy.runtimes.registry import is_checkpoint, open_session
from sqsam_deploy.runtimes.session import Session
from sqsam_deploy.saliency.model import SaliencyModel
from sqsam_deploy.saliency.onnx_model import OnnxSaliency, embedded_metadata


class ArtifactSaliency:
    """An exported saliency network on any runtime."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def saliency_map(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Saliency of a photo; see `SaliencyModel`."""
        square = square_of(image, self._session.metadata.image_size)
        return saliency_of_logits(self._session.run_saliency(square))


def open_saliency(path: Path | None, threads: int | None = None) -> SaliencyModel:
    """Opens a saliency network.

    Args:
        path: None for the bundled network, a checkpoint of it, an artifact of it (`.pte`,
            `.onnx`, `.mlpackage`), or anybody's `.onnx`, declared as `OnnxSaliencyFormat` says.
        threads: CPU threads; None leaves the runtime's default.

    Raises:
        ArtifactError: The file is missing, damaged or no saliency network.
        CheckpointError: The weights are missing, damaged or of another network.
        UsageError: An ONNX file's declaration is missing or wrong.
    """
    path = weights_file("saliency" if path is None else path)
    if is_checkpoint(path):
        return TorchSaliency(load_saliency(path).model)
    if path.suffix == ONNX.suffix and METADATA_KEY not in embedded_metadata(path):
        return OnnxSaliency(path, threads=threads)
    session = open_session(path, threads)
    if session.metadata.task != "saliency":
        raise ArtifactError(f"{path} is no saliency network but '{session.metadata.preset}'")
    return ArtifactSaliency(session)

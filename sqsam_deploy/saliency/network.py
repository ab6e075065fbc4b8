"""The package's own saliency network as a source of saliency maps, in torch or as an artifact."""

import numpy as np
import torch
from numpy.typing import NDArray

from sqsam_deploy.model.saliency import SaliencyNet
from sqsam_deploy.networks.saliency import square_of
from sqsam_deploy.runtimes.session import Session
from sqsam_deploy.saliency.model import saliency_of_logits


class TorchSaliency:
    """A saliency checkpoint in float32."""

    def __init__(self, model: SaliencyNet) -> None:
        self._model = model

    @torch.inference_mode()
    def saliency_map(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Saliency of a photo; see `SaliencyModel`."""
        square = square_of(image, self._model.config.image_size)
        pixels = torch.tensor(square).permute(2, 0, 1)[None].float()
        return saliency_of_logits(self._model(pixels)[0, 0].numpy())


class ArtifactSaliency:
    """An exported saliency network on any runtime."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def saliency_map(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Saliency of a photo; see `SaliencyModel`."""
        square = square_of(image, self._session.metadata.image_size)
        return saliency_of_logits(self._session.run_saliency(square))

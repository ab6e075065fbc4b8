"""An artifact of the package's own saliency network as a source of saliency maps."""

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.networks.saliency import square_of
from sqsam_deploy.prompts.saliency import saliency_of_logits
from sqsam_deploy.runtimes.session import Session


class ArtifactSaliency:
    """An exported saliency network on any runtime."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def saliency_map(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Saliency of a photo; see `SaliencyModel`."""
        square = square_of(image, self._session.metadata.image_size)
        return saliency_of_logits(self._session.run_saliency(square))

"""The interface of every source of saliency maps."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

#: Steps of a saliency map, those of an 8-bit picture.
STEPS = 255


class SaliencyModel(Protocol):
    """Anything that turns a photo into a saliency map."""

    def saliency_map(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Saliency of a photo, in the model's own resolution.

        Args:
            image: HxWx3 uint8 RGB.

        Returns:
            hxw float32, 0 to 1 in steps of 1/255, stretched over the whole photo.
        """


def saliency_of_probabilities(probabilities: NDArray[np.floating]) -> NDArray[np.float32]:
    """Probabilities in the steps of an 8-bit saliency map.

    The rule for equally salient blobs (`saliency_clicks`) means something only where saliency comes
    in steps, and a difference of 1e-7 between two runtimes must not choose another object.
    """
    saliency: NDArray[np.float32] = np.rint(np.clip(probabilities, 0, 1) * STEPS).astype(np.float32)
    return saliency / np.float32(STEPS)


def saliency_of_logits(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    """The sigmoid, in the steps of an 8-bit saliency map."""
    # Beyond 30 the sigmoid is 0 or 1 at any number of steps, and exp does not overflow.
    return saliency_of_probabilities(1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -30, 30))))

"""The interface of every source of saliency maps."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

#: Steps of a heat map, those of an 8-bit picture.
STEPS = 255


class SaliencyModel(Protocol):
    """Anything that turns a photo into a heat map."""

    def saliency_map(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Heat of a photo, in the model's own resolution.

        Args:
            image: HxWx3 uint8 RGB.

        Returns:
            hxw float32, 0 to 1 in steps of 1/255, stretched over the whole photo.
        """


def heat_of_probabilities(probabilities: NDArray[np.floating]) -> NDArray[np.float32]:
    """Probabilities in the steps of an 8-bit heat map.

    The rule for equally hot blobs (`saliency_clicks`) means something only where heat comes in
    steps, and a difference of 1e-7 between two runtimes must not choose another object.
    """
    heat: NDArray[np.float32] = np.rint(np.clip(probabilities, 0, 1) * STEPS).astype(np.float32)
    return heat / np.float32(STEPS)


def heat_of_logits(logits: NDArray[np.floating]) -> NDArray[np.float32]:
    """The sigmoid, in the steps of an 8-bit heat map."""
    # Beyond 30 the sigmoid is 0 or 1 at any number of steps, and exp does not overflow.
    return heat_of_probabilities(1 / (1 + np.exp(-np.clip(logits.astype(np.float64), -30, 30))))

"""The interface of every source of saliency maps."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class SaliencyModel(Protocol):
    """Anything that turns a photo into a saliency map."""

    def saliency_map(self, image: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Saliency of a photo, in the model's own resolution.

        Args:
            image: HxWx3 uint8 RGB.

        Returns:
            hxw float32, 0 to 1 in steps of 1/255, stretched over the whole photo.
        """

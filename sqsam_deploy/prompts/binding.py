"""An image and a prompt as the tensors that an artifact declares."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.artifact.metadata import PIXELS, TensorSpec
from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.prompts.encoding import EncodedPrompt


def bind_inputs(
    specs: Sequence[TensorSpec], image: NDArray[np.uint8], prompt: EncodedPrompt
) -> dict[str, NDArray[np.generic]]:
    """An image and a prompt as the declared inputs, with batch axis, dtype and layout.

    Args:
        specs: The inputs, in their order.
        image: SxSx3 uint8 RGB.
        prompt: From `encode_prompt` with the same preset.

    Raises:
        ArtifactError: An input is declared with another shape.
    """
    maps = prompt.prompt_maps.transpose(1, 2, 0)
    values: dict[str, NDArray[np.generic]] = {
        "image": image,
        "prompt_maps": maps,
        PIXELS: np.concatenate([image, maps], axis=2),
        "point_coords": prompt.point_coords,
        "point_labels": prompt.point_labels,
    }
    return {spec.name: bind_input(spec, values[spec.name]) for spec in specs}


def bind_input(spec: TensorSpec, value: NDArray[np.generic]) -> NDArray[np.generic]:
    """One value as its declared input; pixels come as HxWxC.

    Raises:
        ArtifactError: The input is declared with another shape.
    """
    if spec.layout == "NCHW":
        value = value.transpose(2, 0, 1)
    if spec.dtype == "int8":
        # Minus 128 is the same bits with the highest one turned.
        value = (np.asarray(value, np.uint8) ^ np.uint8(128)).view(np.int8)
    bound = np.ascontiguousarray(value[None], dtype=spec.dtype)
    if bound.shape != spec.shape:
        raise ArtifactError(f"input '{spec.name}' takes {spec.shape}, got {bound.shape}")
    return bound

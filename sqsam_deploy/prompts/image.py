"""The photo, resized to the network's square."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sqsam_deploy.errors import DataError
from sqsam_deploy.model.config import ModelConfig


def prepare_image(image: NDArray[np.uint8], config: ModelConfig) -> NDArray[np.uint8]:
    """Stretches an image to the input square, without letterbox.

    With `config.antialias` it is Pillow's BILINEAR, whose support grows with the reduction;
    without, it is torch's `interpolate(mode="bilinear", align_corners=False)`, which the release
    of December 2023 was trained on. Both are rounded to 8 bits.

    Args:
        image: HxWx3 uint8 RGB.
        config: The preset.

    Returns:
        SxSx3 uint8.

    Raises:
        DataError: The array is not an RGB image with at least one pixel.
    """
    check_image(image)
    if config.antialias:
        return stretch_filtered(image, (config.image_size, config.image_size))
    return _stretch(image, config)


def check_image(image: NDArray[np.uint8]) -> None:
    """Refuses what is not an image.

    Raises:
        DataError: The array is not HxWx3 uint8 with at least one pixel.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or image.size == 0:
        raise DataError(f"an image must be HxWx3 uint8, got {image.shape} {image.dtype}")


def stretch_filtered(image: NDArray[np.uint8], size_hw: tuple[int, int]) -> NDArray[np.uint8]:
    """Pillow's BILINEAR, whose support grows with the reduction. HxWx3 -> hxwx3 uint8.

    Across first, then down, each rounded to 8 bits. In one call the order would be Pillow's, which
    its version 13 changed for tall images.
    """
    height, width = size_hw
    across = Image.fromarray(image).resize((width, image.shape[0]), Image.Resampling.BILINEAR)
    return np.asarray(across.resize((width, height), Image.Resampling.BILINEAR))


def _stretch(image: NDArray[np.uint8], config: ModelConfig) -> NDArray[np.uint8]:
    import torch

    pixels = torch.tensor(image).permute(2, 0, 1)[None].float()
    square = (config.image_size, config.image_size)
    resized = torch.nn.functional.interpolate(pixels, square, mode="bilinear", align_corners=False)
    rounded: NDArray[np.uint8] = resized[0].permute(1, 2, 0).round().to(torch.uint8).numpy()
    return rounded

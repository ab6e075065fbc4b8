"""The photo, resized to the network's square."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sqsam_deploy._internal.workers import usable_cores
from sqsam_deploy.errors import DataError
from sqsam_deploy.model.config import ModelConfig

#: Values of a photo from which on threads earn more than they cost, and the most of them.
_LARGE, _MOST_STRIPS = 6_000_000, 4


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
    across = Image.fromarray(_across(image, width))
    return np.asarray(across.resize((width, height), Image.Resampling.BILINEAR))


def _across(image: NDArray[np.uint8], width: int) -> NDArray[np.uint8]:
    """Every row by itself, so a large photo's are divided among the cores."""
    rows = len(image)
    strips = min(usable_cores(), _MOST_STRIPS) if image.size > _LARGE else 1
    edges = [rows * index // strips for index in range(strips + 1)]
    resized = np.empty((rows, width, 3), np.uint8)

    def fill(top: int, bottom: int) -> None:
        strip = Image.fromarray(image[top:bottom])
        across = strip.resize((width, bottom - top), Image.Resampling.BILINEAR)
        resized[top:bottom] = np.asarray(across)

    if strips == 1:
        fill(0, rows)
    else:
        with ThreadPoolExecutor(strips) as pool:
            list(pool.map(fill, edges[:-1], edges[1:]))
    return resized


def _stretch(image: NDArray[np.uint8], config: ModelConfig) -> NDArray[np.uint8]:
    import torch

    # Three images of one channel: for one of three channels torch chooses its kernel by the number
    # of threads, and the kernels differ in the last bit.
    planes = torch.tensor(image).permute(2, 0, 1)[:, None].float().contiguous()
    square = (config.image_size, config.image_size)
    resized = torch.nn.functional.interpolate(planes, square, mode="bilinear", align_corners=False)
    rounded: NDArray[np.uint8] = resized[:, 0].permute(1, 2, 0).round().to(torch.uint8).numpy()
    return rounded

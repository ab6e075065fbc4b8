"""Random points of an object: the same ones whatever the order, the process or the artifact."""

import hashlib

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.errors import DataError


def object_generator(seed: int, object_id: str) -> np.random.Generator:
    """A source of randomness that belongs to one object."""
    digest = hashlib.sha256(f"{seed}:{object_id}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


def draw_points(
    mask: NDArray[np.bool_], count: int, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Points drawn uniformly from a mask's pixels (the paper's Table 2).

    Drawing more points from an equal generator extends the list, so the single click of an object
    is the first of its three.

    Args:
        mask: HxW, not empty.
        count: Points; a pixel may come twice.
        rng: Source of randomness.

    Returns:
        count x 2 float32, (x, y); pixel centres are at integers, as in `encode_prompt`.

    Raises:
        DataError: The mask is empty.
    """
    pixels = np.flatnonzero(mask)
    if not len(pixels):
        raise DataError("an object has an empty mask")
    drawn = pixels[[int(rng.integers(len(pixels))) for _ in range(count)]]
    rows, columns = np.divmod(drawn, mask.shape[1])
    return np.stack([columns, rows], axis=1).astype(np.float32)


def jitter_points(
    points: NDArray[np.float32], sigma: float, image_hw: tuple[int, int], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Points moved by normal noise, as a finger would, and kept inside the image.

    Args:
        points: Nx2, (x, y).
        sigma: Standard deviation in pixels of the image.
        image_hw: Height and width.
        rng: Source of randomness.
    """
    moved = points + rng.normal(scale=sigma, size=points.shape)
    limits = np.array([image_hw[1] - 1, image_hw[0] - 1])
    return np.clip(moved, 0, limits).astype(np.float32)

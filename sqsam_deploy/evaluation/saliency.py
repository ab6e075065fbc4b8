"""Which object the saliency protocol asks for (the paper's Table 4)."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sqsam_deploy._internal.geometry import mask_iou
from sqsam_deploy.datasets.images import opened

#: Of its 5 points the saliency start must have put this many on the object.
POINTS_INSIDE = 4


def salient_object(
    masks: Sequence[NDArray[np.bool_]],
    saliency_mask: NDArray[np.bool_],
    points: NDArray[np.float32],
) -> int | None:
    """The object that the saliency start means, or None where it means none of the annotated ones.

    Among the masks that hold at least 4 of the 5 points, the one that overlaps the saliency mask
    most (intersection over union).

    Args:
        masks: HxW each.
        saliency_mask: HxW, the thresholded saliency.
        points: 5x2, (x, y) in pixels, whose centres are at integers.

    Returns:
        Index into `masks`.
    """
    candidates = [i for i, mask in enumerate(masks) if _count_inside(mask, points) >= POINTS_INSIDE]
    return max(candidates, key=lambda i: mask_iou(masks[i], saliency_mask), default=None)


def _count_inside(mask: NDArray[np.bool_], points: NDArray[np.float32]) -> int:
    height, width = mask.shape
    columns = np.clip(np.rint(points[:, 0]), 0, width - 1).astype(int)
    rows = np.clip(np.rint(points[:, 1]), 0, height - 1).astype(int)
    return int(mask[rows, columns].sum())


def read_saliency_map(folder: Path, image: Path, image_hw: tuple[int, int]) -> NDArray[np.float32]:
    """The saliency map of an image: the PNG of the same stem, stretched to the image's size.

    Returns:
        HxW float32 in 0..1.

    Raises:
        DataError: There is none, or it is damaged.
    """
    path = folder / f"{image.stem}.png"
    with opened(path, f"saliency map {path}") as stored:
        gray = stored.convert("L").resize(image_hw[::-1], Image.Resampling.BILINEAR)
    return np.asarray(gray, np.float32) / np.float32(255)

"""Saliency maps from a folder or a network, and the object that one means (the paper's Table 4)."""

from collections.abc import Sequence
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy._internal.geometry import mask_iou
from sqsam_deploy.datasets.images import opened
from sqsam_deploy.predictor import upsample_masks
from sqsam_deploy.runtimes.registry import artifact_suffixes
from sqsam_deploy.saliency import SaliencyModel, open_saliency

#: Of its 5 points the saliency start must have put this many on the object.
POINTS_INSIDE = 4
#: Interpolation may leave a flat map this much under its own value.
_ROUNDING = 1e-6


def salient_object(
    masks: Sequence[NDArray[np.bool_]],
    saliency_mask: NDArray[np.bool_],
    points: NDArray[np.float32],
) -> int | None:
    """The object that the saliency start means, or None where that is ambiguous.

    The mask with the largest intersection over union with the saliency mask is picked first; where
    fewer than 4 of the 5 points lie in it, the image is ignored (arXiv 2312.06736, "Saliency
    Evaluation").

    Args:
        masks: HxW each.
        saliency_mask: HxW, the thresholded saliency, all blobs of it.
        points: 5x2, (x, y) in pixels, whose centers are at integers.

    Returns:
        Index into `masks`.
    """
    overlaps = [mask_iou(mask, saliency_mask) for mask in masks]
    if not overlaps:
        return None
    picked = int(np.argmax(overlaps))
    return picked if _count_inside(masks[picked], points) >= POINTS_INSIDE else None


def _count_inside(mask: NDArray[np.bool_], points: NDArray[np.float32]) -> int:
    height, width = mask.shape
    columns = np.clip(np.rint(points[:, 0]), 0, width - 1).astype(int)
    rows = np.clip(np.rint(points[:, 1]), 0, height - 1).astype(int)
    return int(mask[rows, columns].sum())


def saliency_map(source: Path, photo: Path, image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The saliency of a photo, in the map's own resolution, as `Predictor` would read it.

    Args:
        source: Folder of maps, or a saliency network as `open_saliency` takes it.
        photo: The photo's file: a map in a folder has its stem.
        image: The photo, HxWx3 uint8 RGB.

    Returns:
        hxw float32 in 0..1, stretched over the whole photo.

    Raises:
        DataError: The folder has no map of the photo, or a damaged one.
        SqsamError: The network cannot be opened or run.
    """
    if is_folder_of_maps(source):
        return _read_map(source / f"{photo.stem}.png")
    return _network(source).saliency_map(image)


def is_folder_of_maps(source: Path) -> bool:
    """Whether a source of saliency is a folder; some artifacts are folders too."""
    return source.is_dir() and source.suffix not in artifact_suffixes()


def saliency_area(
    saliency: NDArray[np.float32], threshold: float, image_hw: tuple[int, int]
) -> NDArray[np.bool_]:
    """The saliency mask, HxW: the map enlarged to the photo, where it reaches the threshold."""
    area: NDArray[np.bool_] = upsample_masks(saliency[None], image_hw)[0] >= threshold - _ROUNDING
    return area


def _read_map(path: Path) -> NDArray[np.float32]:
    with opened(path, f"saliency map {path}") as stored:
        return np.asarray(stored.convert("L"), np.float32) / np.float32(255)


@cache
def _network(source: Path) -> SaliencyModel:
    """One thread, as every session of an evaluation: results do not depend on the machine."""
    return open_saliency(source, threads=1)

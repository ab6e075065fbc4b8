"""A validation split of the training photos."""

import hashlib
from collections.abc import Iterable, Sequence

from sqsam_deploy.errors import DataError
from sqsam_deploy.training.prepared import PreparedImage


def split(
    images: Sequence[PreparedImage], numbers: Iterable[int], share: float
) -> tuple[list[int], list[int]]:
    """Numbers of the training and the validation photos.

    A photo's side follows from its group's name alone, so it does not change when photos are
    added, and photos of one group stay together. At least one group validates.

    Args:
        images: All photos.
        numbers: Those to split.
        share: Share of the groups that validate, less than 1.

    Raises:
        DataError: There are fewer than two groups.
    """
    numbers = list(numbers)
    positions = {images[number].group: _position(images[number].group) for number in numbers}
    if len(positions) < 2:
        raise DataError(
            f"{len(numbers)} images in {len(positions)} groups cannot be split into training and "
            "validation images: add images"
        )
    limit = max(share, min(positions.values()))
    held_out = {group for group, position in positions.items() if position <= limit}
    training = [number for number in numbers if images[number].group not in held_out]
    validation = [number for number in numbers if images[number].group in held_out]
    return training, validation


def _position(group: str) -> float:
    """A name's place in [0, 1)."""
    return int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") / 2**64

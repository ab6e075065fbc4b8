"""A validation split of the training photos."""

import hashlib

from sqsam_deploy.errors import DataError
from sqsam_deploy.training.prepared import PreparedImage


def split(images: list[PreparedImage], share: float) -> tuple[list[int], list[int]]:
    """Numbers of the training and the validation photos.

    A photo's side follows from its group's name alone, so it does not change when photos are
    added, and photos of one group stay together.

    Args:
        images: All photos.
        share: Share of the groups that validate.

    Raises:
        DataError: One of the two sides would be empty.
    """
    training, validation = list[int](), list[int]()
    for number, image in enumerate(images):
        (validation if _position(image.group) < share else training).append(number)
    if not training or not validation:
        raise DataError(
            f"{len(images)} images are too few to hold out {share:.0%} of their groups for "
            "validation: add images or change the share"
        )
    return training, validation


def _position(group: str) -> float:
    """A name's place in [0, 1)."""
    return int.from_bytes(hashlib.sha256(group.encode()).digest()[:8], "big") / 2**64

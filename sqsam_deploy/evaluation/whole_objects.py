"""Clicks on a part of an object, scored against the whole (the paper's third contribution).

The paper shows it (Figures 8 and 9: a click on a player's trousers, on a carrot in a child's hand)
and measures it nowhere; the protocol is this project's.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy._internal.geometry import bounding_box
from sqsam_deploy.evaluation.protocols import Query, Scene
from sqsam_deploy.prompts.sampling import (
    draw_points,
    foreground,
    innermost_pixel,
    object_generator,
)

#: Share of a mask's pixels that must lie in a larger one to be a part of it, and the part's largest
#: share of the whole.
INSIDE, LARGEST_PART = 0.9, 0.5
#: Where the lower third of a person begins, as a share of the height.
_LOWER_THIRD = 2 / 3

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class WholeObjects:
    """One click on a part of each object that has one.

    Attributes:
        seed: Together with the object's id it fixes the click.
    """

    seed: int
    kinds: tuple[str, ...] = ("lower-third", "nested-part")

    def queries(self, scene: Scene) -> Iterator[Query]:
        """One query an object and kind of part, or none where it has no such part."""
        nested = nested_parts(scene.masks)
        for index, item in enumerate(scene.record.objects):
            parts = (lower_third(scene.masks[index], item.category), nested[index])
            for kind, part in zip(self.kinds, parts, strict=True):
                if part is not None:
                    rng = object_generator(self.seed, f"{kind}:{item.id}")
                    yield Query(kind, foreground(draw_points(part, 1, rng)), index)


def lower_third(mask: Mask, category: str) -> Mask | None:
    """The part of a person in the lowest third of the mask's height; None for anything else."""
    if category != "person":
        return None
    _, top, _, bottom = bounding_box(mask)
    part = mask.copy()
    part[: top + round(_LOWER_THIRD * (bottom - top))] = False
    return part if part.any() else None


def nested_parts(masks: Sequence[Mask]) -> list[Mask | None]:
    """For each mask the one within it that lies farthest from its center, cut to it; or None.

    Args:
        masks: HxW each, none of them empty.
    """
    from pycocotools import mask as coco_mask

    if not masks:
        return []
    rles = [coco_mask.encode(np.asfortranarray(mask, np.uint8)) for mask in masks]
    areas = coco_mask.area(rles)
    # A "crowd" is overlapped by the share of the other mask that lies in it: parts x wholes.
    inside = coco_mask.iou(rles, rles, [1] * len(rles)) >= INSIDE
    smaller = areas[:, None] <= LARGEST_PART * areas[None, :]
    return [
        _farthest(masks[index], [masks[part] for part in np.flatnonzero(column).tolist()])
        for index, column in enumerate((inside & smaller).T)
    ]


def _farthest(whole: Mask, parts: Sequence[Mask]) -> Mask | None:
    if not parts:
        return None
    center = np.array(innermost_pixel(whole)[1])
    centers = [np.array(innermost_pixel(part)[1]) for part in parts]
    distances = [float(np.hypot(*(found - center))) for found in centers]
    return parts[int(np.argmax(distances))] & whole

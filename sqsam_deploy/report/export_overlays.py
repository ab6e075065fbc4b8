"""The same photo and prompt, cut out by the float network and by the artifacts."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sqsam_deploy._internal.geometry import mask_iou
from sqsam_deploy.artifact.manifest import Manifest
from sqsam_deploy.datasets import load_image
from sqsam_deploy.networks.agreement import Probe
from sqsam_deploy.networks.base import Logits
from sqsam_deploy.networks.precisions import PRECISIONS
from sqsam_deploy.pictures import (
    MASK,
    Picture,
    data_address,
    tinted,
    with_difference,
    with_prompt,
)
from sqsam_deploy.pipeline.evidence import Evidence
from sqsam_deploy.predictor import upsample_masks
from sqsam_deploy.prompts import Prompt
from sqsam_deploy.report.page import PictureRow

#: Longer side of a picture, in pixels.
SIDE = 320


def overlays(manifest: Manifest, evidence: Evidence) -> tuple[PictureRow, ...]:
    """For each photo the prompt on which the shown artifacts agree least with the float network."""
    shown = shown_artifacts(manifest, evidence)
    return tuple(_overlay(index, shown, evidence) for index in _least_alike(shown, evidence))


def shown_artifacts(manifest: Manifest, evidence: Evidence) -> tuple[str, ...]:
    """The int8 artifacts; where there are none, those of the lowest precision there is."""
    limits = {
        entry.path: PRECISIONS[entry.metadata.precision].limit
        for entry in manifest.artifacts
        if entry.path in evidence.answers
    }
    return tuple(path for path, limit in limits.items() if limit == min(limits.values()))


def _least_alike(shown: Sequence[str], evidence: Evidence) -> Iterator[int]:
    """Positions of the probes to show, one a photo."""
    expected = evidence.expected()
    lowest = [
        min((mask_iou(evidence.answers[name][i] > 0, wanted > 0) for name in shown), default=1.0)
        for i, wanted in enumerate(expected)
    ]
    photos: dict[str, list[int]] = {}
    for index, probe in enumerate(evidence.probes):
        photos.setdefault(probe.record.id, []).append(index)
    for indices in photos.values():
        yield min(indices, key=lambda index: lowest[index])


def _overlay(index: int, shown: Sequence[str], evidence: Evidence) -> PictureRow:
    probe, expected = evidence.probes[index], evidence.expected()[index]
    photo, scale = _small(load_image(probe.record))
    before = _mask(expected, photo)
    pictures = [
        Picture("photo and prompt", _drawn(with_prompt(photo, _scaled(probe.given, scale), 3))),
        Picture("float network", _drawn(tinted(photo, before, MASK))),
    ]
    for name in shown:
        logits = evidence.answers[name][index]
        caption = f"{name}: IoU {mask_iou(logits > 0, expected > 0):.3f}"
        after = _mask(logits, photo)
        pictures.append(Picture(caption, _drawn(_compared(photo, before, after))))
    return PictureRow(probe.record.path.name, _asked(probe), tuple(pictures))


def _small(image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """The photo at the size it is shown in, and by what its coordinates shrink."""
    height, width = image.shape[:2]
    scale = min(SIDE / max(height, width), 1.0)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR)), scale


def _mask(logits: Logits, photo: NDArray[np.uint8]) -> NDArray[np.bool_]:
    mask: NDArray[np.bool_] = (
        upsample_masks(logits[None].astype(np.float32), (photo.shape[0], photo.shape[1]))[0] > 0
    )
    return mask


def _compared(
    photo: NDArray[np.uint8], before: NDArray[np.bool_], after: NDArray[np.bool_]
) -> NDArray[np.uint8]:
    return with_difference(tinted(photo, before & after, MASK), before, after)


def _drawn(pixels: NDArray[np.uint8]) -> str:
    return data_address(pixels, SIDE)


def _scaled(prompt: Prompt, scale: float) -> Prompt:
    box = prompt.box
    return Prompt(
        (prompt.point_coords * scale).astype(np.float32),
        prompt.point_labels,
        None if box is None else (box[0] * scale, box[1] * scale, box[2] * scale, box[3] * scale),
    )


def _asked(probe: Probe) -> str:
    clicks, box = len(probe.given.point_labels), probe.given.box is not None
    asked = "a box and a click" if box and clicks else "a box" if box else "a click"
    return asked if box or clicks else "no prompt"

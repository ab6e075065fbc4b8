"""Scores of a network on objects: mIoU with one click, three clicks and a box.

Table 2 of arXiv 2312.06736 draws its points at random from the ground-truth mask; so does this.
The mask that counts is the one with the highest predicted IoU.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from sqsam_deploy._internal.geometry import mask_iou
from sqsam_deploy.model.config import ModelConfig
from sqsam_deploy.prompts.encoding import Prompt, encode_prompt
from sqsam_deploy.prompts.image import prepare_image
from sqsam_deploy.prompts.sampling import draw_points, foreground, mask_box
from sqsam_deploy.training.readers import MaskedImage
from sqsam_deploy.training.samples import Batch, Sample, collate

#: Seed of the clicks of every evaluation.
CLICK_SEED = 0
#: Pixels of the input squares run at once: 64 prompts of nano, 4 of paper.
PIXELS_AT_ONCE = 64 * 256 * 256


@dataclass(frozen=True)
class Scores:
    """Mean IoU over objects, for each prompt.

    Attributes:
        objects: Number of objects.
        miou_1_click: One click drawn at random from the mask.
        miou_3_clicks: Three such clicks.
        miou_box: The mask's bounding box.
    """

    objects: int
    miou_1_click: float
    miou_3_clicks: float
    miou_box: float

    @property
    def mean(self) -> float:
        """Mean over the three prompts."""
        return (self.miou_1_click + self.miou_3_clicks + self.miou_box) / 3


def score(
    model: nn.Module,
    config: ModelConfig,
    photos: Iterable[MaskedImage],
    device: torch.device,
) -> Scores:
    """Evaluates a network, which is put into evaluation mode, in float32.

    Args:
        model: Takes image, prompt_maps, point_coords, point_labels.
        config: Its shape.
        photos: Photos and objects.
        device: Where the network is.
    """
    model.eval()
    batch_size = max(PIXELS_AT_ONCE // config.image_size**2, 1)
    ious: dict[int, list[float]] = {kind: [] for kind in range(len(PROMPTS))}
    pending: list[tuple[int, Sample, NDArray[np.bool_]]] = []
    for case in _cases(photos, config):
        pending.append(case)
        if len(pending) == batch_size:
            _run(model, pending, device, ious)
            pending = []
    if pending:
        _run(model, pending, device, ious)
    one, three, box = (float(np.mean(ious[kind])) for kind in range(len(PROMPTS)))
    return Scores(len(ious[0]), one, three, box)


def _one_click(mask: NDArray[np.bool_], rng: np.random.Generator) -> Prompt:
    return foreground(draw_points(mask, 1, rng))


def _three_clicks(mask: NDArray[np.bool_], rng: np.random.Generator) -> Prompt:
    return foreground(draw_points(mask, 3, rng))


def _box(mask: NDArray[np.bool_], _rng: np.random.Generator) -> Prompt:
    return Prompt(box=mask_box(mask))


#: What `Scores` reports, in order.
PROMPTS: tuple[Callable[[NDArray[np.bool_], np.random.Generator], Prompt], ...] = (
    _one_click,
    _three_clicks,
    _box,
)


def _cases(
    photos: Iterable[MaskedImage], config: ModelConfig
) -> Iterator[tuple[int, Sample, NDArray[np.bool_]]]:
    for photo in photos:
        pixels = prepare_image(photo.image, config)
        for number, mask in enumerate(photo.masks):
            # An object's clicks do not depend on which other objects are evaluated.
            rng = np.random.default_rng([CLICK_SEED, number, *photo.id.encode()])
            for kind, draw in enumerate(PROMPTS):
                prompt = draw(mask, rng)
                encoded = encode_prompt(prompt, (mask.shape[0], mask.shape[1]), config)
                yield kind, Sample(pixels, encoded, np.zeros((1, 1), np.uint8)), mask


def _run(
    model: nn.Module,
    pending: list[tuple[int, Sample, NDArray[np.bool_]]],
    device: torch.device,
    ious: dict[int, list[float]],
) -> None:
    logits = best_masks(model, collate([sample for _, sample, _ in pending]), device)
    for (kind, _, truth), mask in zip(pending, logits, strict=True):
        resized = F.interpolate(mask[None, None], truth.shape, mode="bilinear")[0, 0]
        predicted = (resized > 0).numpy()
        ious[kind].append(mask_iou(predicted, truth))


@torch.no_grad()
def best_masks(model: nn.Module, batch: Batch, device: torch.device) -> torch.Tensor:
    """The logits with the highest predicted IoU. -> Bxsxs float32 on the CPU."""
    inputs = (tensor.to(device).float() for tensor in batch[:4])
    low_res_masks, iou_predictions = model(*inputs)
    best = iou_predictions.argmax(dim=1)
    chosen: torch.Tensor = low_res_masks[torch.arange(len(best), device=device), best]
    return chosen.float().cpu()

"""SAM's losses: focal and dice for the best of the masks, squared error for the predicted IoU."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from sqsam_deploy.training.recipe import LossWeights

FOCAL_ALPHA = 0.25
FOCAL_GAMMA = 2.0


class Losses(NamedTuple):
    """Scalars of one batch; `total` is what is minimized.

    Attributes:
        total: The weighted sum.
        mask: Focal and dice loss of the best masks.
        iou: Squared error of the predicted IoUs.
        best_iou: Mean IoU of the best masks, for the log.
    """

    total: Tensor
    mask: Tensor
    iou: Tensor
    best_iou: Tensor


def training_losses(
    low_res_masks: Tensor, iou_predictions: Tensor, target: Tensor, weights: LossWeights
) -> Losses:
    """Losses of a batch (segment-anything, appendix A; arXiv 2312.06736, section 1.3).

    Args:
        low_res_masks: BxMxsxs logits.
        iou_predictions: BxM.
        target: Bxsxs, 0 or 1.
        weights: Weights of the parts.
    """
    logits = low_res_masks.float()
    truth = target.float().unsqueeze(1).expand_as(logits)
    each = weights.focal * focal_loss(logits, truth) + weights.dice * dice_loss(logits, truth)
    best = each.min(dim=1).values.mean()
    actual = mask_iou(logits.detach(), truth)
    iou = F.mse_loss(iou_predictions.float(), actual)
    likeliest = iou_predictions.detach().argmax(dim=1, keepdim=True)
    selected = each.gather(1, likeliest).mean()
    total = best + weights.all_masks * each.mean() + weights.iou * iou
    total = total + weights.selected * selected
    chosen = actual.gather(1, each.detach().argmin(dim=1, keepdim=True))
    return Losses(total, best, iou, chosen.mean())


def focal_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Sigmoid focal loss, mean over pixels (arXiv 1708.02002). BxMxsxs -> BxM."""
    cross_entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    probability = torch.exp(-cross_entropy)
    alpha = (1 - FOCAL_ALPHA) + (2 * FOCAL_ALPHA - 1) * target
    return (alpha * (1 - probability) ** FOCAL_GAMMA * cross_entropy).mean(dim=(2, 3))


def dice_loss(logits: Tensor, target: Tensor) -> Tensor:
    """One minus the soft Dice coefficient, smoothed by one pixel. BxMxsxs -> BxM."""
    probability = logits.sigmoid()
    overlap = (probability * target).sum(dim=(2, 3))
    total = probability.sum(dim=(2, 3)) + target.sum(dim=(2, 3))
    return 1 - (2 * overlap + 1) / (total + 1)


def mask_iou(logits: Tensor, target: Tensor) -> Tensor:
    """IoU of thresholded logits and target; two empty masks agree fully. BxMxHxW -> BxM."""
    mask, truth = logits > 0, target > 0.5
    overlap = (mask & truth).sum(dim=(2, 3))
    union = (mask | truth).sum(dim=(2, 3))
    return torch.where(union > 0, overlap / union.clamp(min=1), torch.ones_like(overlap) * 1.0)

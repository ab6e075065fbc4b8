"""How good saliency maps are: mean absolute error and maximum F-measure."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torch.nn import functional as F

from sqsam_deploy.model.saliency import SaliencyConfig
from sqsam_deploy.saliency.measures import f_measure, precision_recall
from sqsam_deploy.training.augment import resize_image
from sqsam_deploy.training.readers import MaskedImage

#: HxWx3 uint8 RGB to HxW float in [0, 1].
SaliencyFunction = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True)
class SaliencyScores:
    """Scores over photos.

    Attributes:
        images: Number of photos.
        mae: Mean over photos of the mean absolute difference to the 0/1 mask.
        max_f: Largest F-measure over 256 thresholds of mean precision and mean recall.
    """

    images: int
    mae: float
    max_f: float


def saliency_scores(predict: SaliencyFunction, photos: Iterable[MaskedImage]) -> SaliencyScores:
    """Scores maps at the photos' own size; all objects of a photo are salient."""
    errors, curves = [], []
    for photo in photos:
        truth = np.any(photo.masks, axis=0)
        predicted = predict(photo.image)
        errors.append(float(np.abs(predicted - truth).mean()))
        curves.append(precision_recall(predicted, truth))
    precision, recall = np.mean(curves, axis=0)
    return SaliencyScores(len(errors), float(np.mean(errors)), max_f_measure(precision, recall))


def max_f_measure(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> float:
    """The largest F-measure over the thresholds."""
    return float(f_measure(precision, recall).max())


def network_map(model: nn.Module, config: SaliencyConfig, device: torch.device) -> SaliencyFunction:
    """A network, in evaluation mode, as a function of a photo."""
    model.eval()

    @torch.no_grad()
    def predict(image: NDArray[np.uint8]) -> NDArray[np.float32]:
        pixels = np.array(resize_image(image, config.image_size), np.float32)
        square = torch.from_numpy(pixels).permute(2, 0, 1).unsqueeze(0).to(device)
        logits = F.interpolate(model(square).float(), image.shape[:2], mode="bilinear")
        saliency: NDArray[np.float32] = logits.sigmoid()[0, 0].cpu().numpy()
        return saliency

    return predict

"""Scores of finished weights on photos that were never trained on, by source."""

from collections.abc import Collection, Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from torch import nn

from sqsam_deploy.errors import DataError
from sqsam_deploy.model.config import ModelConfig
from sqsam_deploy.model.saliency import SaliencyConfig
from sqsam_deploy.training.classical_saliency import frequency_tuned, spectral_residual
from sqsam_deploy.training.protocol import Scores, score
from sqsam_deploy.training.readers import MaskedImage, SkipList, find_items
from sqsam_deploy.training.saliency_metrics import network_map, saliency_scores

#: The row over all sources.
ALL = "all"

#: Scores by row (a source or a method), each a name with a number.
ScoreTable = dict[str, dict[str, float]]


def read_photos(folder: Path) -> Iterator[MaskedImage]:
    """The photos of a folder, one at a time, at their own size.

    Raises:
        DataError: Something in the folder is unusable: a score over a part of the objects could
            not be compared with any other.
    """
    skipped = SkipList()
    for item in find_items(folder):
        photo = item.read(skipped)
        if skipped.tally.count("object") or skipped.tally.count("photo"):
            raise DataError(f"evaluation data is damaged: {skipped.entries[-1]}")
        if photo is not None:
            yield photo


def evaluate_prompted(
    model: nn.Module, config: ModelConfig, folder: Path, device: torch.device
) -> ScoreTable:
    """mIoU with one click, three clicks and a box, for each source and for all objects.

    Raises:
        DataError: The folder holds no photos, or damaged ones.
    """
    by_source: dict[str, list[Scores]] = {}
    for photo in read_photos(folder):
        scores = score(model, config, [photo], device)
        by_source.setdefault(photo.source, []).append(scores)
    everything = [scores for group in by_source.values() for scores in group]
    rows = {**by_source, ALL: everything}
    return {source: asdict(_pool(group)) for source, group in sorted(rows.items())}


def _pool(parts: list[Scores]) -> Scores:
    """The mean over the objects of all parts."""
    objects = sum(part.objects for part in parts)
    weights = [part.objects / objects for part in parts]
    means = (
        sum(weight * getattr(part, name) for weight, part in zip(weights, parts, strict=True))
        for name in ("miou_1_click", "miou_3_clicks", "miou_box")
    )
    return Scores(objects, *means)


def evaluate_saliency(
    model: nn.Module,
    config: SaliencyConfig,
    folder: Path,
    device: torch.device,
    without: Collection[str] = (),
) -> ScoreTable:
    """MAE and maximum F-measure of a network and of two methods without learning.

    Args:
        model: The network.
        config: Its shape.
        folder: Photos and masks.
        device: Where the network is.
        without: Sources that do not count, because they name objects that need not be salient.

    Raises:
        DataError: The folder holds no photos, or damaged ones.
    """
    photos = [photo for photo in read_photos(folder) if photo.source not in without]
    if not photos:
        raise DataError(f"{folder} has no photo of a source whose share is not 0")
    methods = {
        "network": network_map(model, config, device),
        "frequency-tuned": frequency_tuned,
        "spectral residual": spectral_residual,
    }
    return {name: asdict(saliency_scores(method, photos)) for name, method in methods.items()}

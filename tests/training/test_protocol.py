from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sqsam_deploy.model.config import NANO
from sqsam_deploy.training.protocol import score
from sqsam_deploy.training.readers import MaskedImage, SkipList, find_items

CPU = torch.device("cpu")


class BoxFiller(nn.Module):
    """Answers with the box as the first mask and with nothing as the second."""

    def __init__(self, ious: list[float]) -> None:
        super().__init__()
        self.ious = torch.tensor(ious)

    def forward(
        self, image: Tensor, maps: Tensor, coords: Tensor, labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        box = F.avg_pool2d(maps[:, 1:2], 2) / 255 - 0.5
        return torch.cat([box, -torch.ones_like(box)], dim=1), self.ious.expand(len(image), -1)


def _photos(folder: Path) -> list[MaskedImage]:
    read = [item.read(SkipList()) for item in find_items(folder)]
    return [photo for photo in read if photo is not None]


def test_filling_the_box_scores_the_objects_share_of_their_boxes(photo_folder: Path) -> None:
    photos = _photos(photo_folder)[:5]
    shares, areas = [], []
    for photo in photos:
        for mask in photo.masks:
            rows, columns = np.nonzero(mask)
            box = (np.ptp(rows) + 1) * (np.ptp(columns) + 1)
            shares.append(mask.sum() / box)
            areas.append(mask.mean())
    scores = score(BoxFiller([0.9, 0.1]), NANO, photos, CPU)
    assert scores.objects == len(shares)
    # At 256 pixels a small object's box gets a little larger.
    assert abs(scores.miou_box - np.mean(shares)) < 0.04
    # Without a box the box channel is all marked, so the answer is the whole photo.
    assert abs(scores.miou_1_click - np.mean(areas)) < 1e-6


def test_mask_with_the_highest_predicted_iou_counts(photo_folder: Path) -> None:
    scores = score(BoxFiller([0.1, 0.9]), NANO, _photos(photo_folder)[:2], CPU)
    assert scores.miou_box == scores.miou_1_click == scores.mean == 0


def test_clicks_do_not_depend_on_the_other_photos(photo_folder: Path) -> None:
    from sqsam_deploy.model.network import SqueezeSAM

    torch.manual_seed(0)
    model, photos = SqueezeSAM(NANO), _photos(photo_folder)[:2]
    alone = score(model, NANO, photos[1:], CPU)
    both = score(model, NANO, photos, CPU)
    first = score(model, NANO, photos[:1], CPU)
    pooled = first.objects * first.miou_3_clicks + alone.objects * alone.miou_3_clicks
    assert abs(both.miou_3_clicks - pooled / both.objects) < 1e-4

import torch
from torch import nn

from sqsam_deploy.folding.pixels import fold_pixel_scaling
from tests.folding.norms import relative_difference


@torch.no_grad()
def test_raw_pixels_give_what_normalized_pixels_gave() -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(5, 8, 2, stride=2)
    mean = torch.tensor([0.485, 0.456, 0.406, 0.0, 0.0]).reshape(1, 5, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225, 1.0, 1.0]).reshape(1, 5, 1, 1)
    pixels = torch.randint(0, 256, (1, 5, 8, 8)).float()
    folded = fold_pixel_scaling(conv, mean, std)(pixels)
    assert relative_difference(folded, conv((pixels / 255 - mean) / std)) < 1e-5

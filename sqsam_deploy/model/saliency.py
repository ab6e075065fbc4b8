"""A small saliency network from SqueezeSAM's blocks: an image in, one map out, no prompts.

The paper starts without a user's prompt from a saliency map (arXiv 2312.06736, "Application");
this network makes that map.
"""

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from sqsam_deploy.model.blocks import ContractingPath, ConvTransposeUp, DoubleConv
from sqsam_deploy.model.config import PIXEL_MEAN, PIXEL_STD, BlockOrder


@dataclass(frozen=True)
class SaliencyConfig:
    """Everything that fixes a saliency network.

    Args:
        name: The preset's name.
        image_size: Side of the square input, in pixels.
        patch_size: Kernel and stride of the patch embedding.
        widths: Channels of each encoder level, finest first; every level halves the resolution.
        block_order: Order of convolution, norm and activation in the double blocks.
    """

    name: str = "saliency"
    image_size: int = 256
    patch_size: int = 2
    widths: tuple[int, ...] = (16, 32, 48, 64, 96, 120)
    block_order: BlockOrder = "conv-bn-relu"

    @property
    def map_size(self) -> int:
        """Side of the saliency map, in pixels."""
        return self.image_size // self.patch_size


#: The bundled network: under a million parameters, 2 MB at float16.
SALIENCY = SaliencyConfig()


class SaliencyUp(nn.Module):
    """Upsampling, concatenation behind the skip, double block. -> BxKx2Hx2W."""

    def __init__(self, in_channels: int, skip_channels: int, order: BlockOrder) -> None:
        super().__init__()
        self.up = ConvTransposeUp(in_channels)
        self.conv = DoubleConv(in_channels // 2 + skip_channels, skip_channels, order)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        out: Tensor = self.conv(torch.cat([skip, self.up(x)], dim=1))
        return out


class SaliencyNet(nn.Module):
    """An image to the logits of its saliency map."""

    def __init__(self, config: SaliencyConfig = SALIENCY) -> None:
        super().__init__()
        self.config = config
        width, patch = config.widths[0], config.patch_size
        embedding = nn.Sequential(nn.Conv2d(3, width, patch, stride=patch), nn.BatchNorm2d(width))
        self.encoder = ContractingPath(embedding, config.widths, config.block_order)
        self.decoder = nn.ModuleList(
            SaliencyUp(a, b, config.block_order) for a, b in itertools.pairwise(config.widths[::-1])
        )
        self.head = nn.Conv2d(config.widths[0], 1, 1)
        self.pixel_mean: Tensor
        self.pixel_std: Tensor
        mean, std = torch.tensor(PIXEL_MEAN), torch.tensor(PIXEL_STD)
        self.register_buffer("pixel_mean", mean.reshape(1, 3, 1, 1), persistent=False)
        self.register_buffer("pixel_std", std.reshape(1, 3, 1, 1), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """The saliency map.

        Args:
            image: Bx3xSxS float RGB, pixel values 0 to 255, stretched to the square with Pillow's
                (antialiased) bilinear filter.

        Returns:
            Bx1xsxs logits, s = S / patch_size; their sigmoid is the saliency.
        """
        pixels = (image * (1.0 / 255.0) - self.pixel_mean) / self.pixel_std
        *skips, x = self.encoder(pixels)
        for level, skip in zip(self.decoder, reversed(skips), strict=True):
            x = level(x, skip)
        logits: Tensor = self.head(x)
        return logits

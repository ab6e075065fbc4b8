"""Convolutional blocks of the U-Net, in the paper's order and in the released checkpoint's."""

import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sqsam_deploy.model.config import BlockOrder, ModelConfig


class ConvBlock(nn.Module):
    """A 3x3 convolution with BatchNorm and ReLU in the given order. BxCxHxW -> BxKxHxW."""

    def __init__(self, in_channels: int, out_channels: int, order: BlockOrder) -> None:
        super().__init__()
        self.order = order
        # The released checkpoint keeps the bias; before a BatchNorm it would have no effect.
        bias = order == "conv-relu-bn"
        self.conv = nn.Conv2d(in_channels, out_channels, 3, padding=1, bias=bias)
        self.norm = nn.BatchNorm2d(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        if self.order == "conv-bn-relu":
            return F.relu(self.norm(self.conv(x)))
        normed: Tensor = self.norm(F.relu(self.conv(x)))
        return normed


class DoubleConv(nn.Sequential):
    """Two `ConvBlock`s. BxCxHxW -> BxKxHxW."""

    def __init__(self, in_channels: int, out_channels: int, order: BlockOrder) -> None:
        super().__init__(
            ConvBlock(in_channels, out_channels, order),
            ConvBlock(out_channels, out_channels, order),
        )


class DoubleConvDown(nn.Module):
    """2x2 max-pooling, then a double block. BxCxHxW -> BxKx(H/2)x(W/2)."""

    def __init__(self, in_channels: int, out_channels: int, order: BlockOrder) -> None:
        super().__init__()
        self.conv = DoubleConv(in_channels, out_channels, order)

    def forward(self, x: Tensor) -> Tensor:
        # ExecuTorch's XNNPACK partitioner fails on a max_pool2d without an explicit stride.
        pooled = F.max_pool2d(x, kernel_size=2, stride=2)
        out: Tensor = self.conv(pooled)
        return out


class ContractingPath(nn.Module):
    """The U-Net's way down. BxCxSxS -> one map a level, finest first, each of half the side.

    Args:
        patch_embedding: To `widths[0]` channels.
        widths: Channels of each level, finest first.
        order: Of the double blocks.
    """

    def __init__(
        self, patch_embedding: nn.Module, widths: tuple[int, ...], order: BlockOrder
    ) -> None:
        super().__init__()
        self.patch_embedding = patch_embedding
        self.stem = DoubleConv(widths[0], widths[0], order)
        self.levels = nn.ModuleList(
            DoubleConvDown(a, b, order) for a, b in itertools.pairwise(widths)
        )

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = [self.stem(self.patch_embedding(x))]
        for level in self.levels:
            maps.append(level(maps[-1]))
        return maps


class ConvTransposeUp(nn.Module):
    """ConvTranspose 2x2 that halves the channels, BatchNorm, ReLU. BxCxHxW -> Bx(C/2)x2Hx2W."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv = nn.ConvTranspose2d(in_channels, in_channels // 2, 2, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(in_channels // 2)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.norm(self.conv(x)))


class LinearShuffleUp(nn.Module):
    """Per-pixel linear layer, ReLU, BatchNorm, pixel shuffle. BxCxHxW -> Bx(C/2)x2Hx2W."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(in_channels, 2 * in_channels)
        self.norm = nn.BatchNorm2d(2 * in_channels)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.relu(self.linear(x.permute(0, 2, 3, 1))).permute(0, 3, 1, 2)
        return F.pixel_shuffle(self.norm(hidden), 2)


class DoubleConvUp(nn.Module):
    """Upsampling, concatenation behind the skip, double block. -> BxKx2Hx2W."""

    def __init__(self, in_channels: int, skip_channels: int, config: ModelConfig) -> None:
        super().__init__()
        up = ConvTransposeUp if config.upsampling == "conv-transpose" else LinearShuffleUp
        self.up = up(in_channels)
        self.conv = DoubleConv(in_channels // 2 + skip_channels, skip_channels, config.block_order)

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        joined = torch.cat([skip, self.up(x)], dim=1)
        out: Tensor = self.conv(joined)
        return out

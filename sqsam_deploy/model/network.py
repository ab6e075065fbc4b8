"""SqueezeSAM (arXiv 2312.06736): a U-Net with a tiny transformer on its deepest map."""

import itertools

import torch
from torch import Tensor, nn

from sqsam_deploy.model.blocks import ContractingPath, DoubleConvUp
from sqsam_deploy.model.config import PIXEL_MEAN, PIXEL_STD, ModelConfig
from sqsam_deploy.model.prompt_encoder import PointEncoder
from sqsam_deploy.model.transformer import MLP, TwoWayTransformer

#: RGB and the two prompt maps.
INPUT_CHANNELS = 5


class PatchEmbedding(nn.Module):
    """Strided convolution and norm. Bx5xSxS -> BxCx(S/p)x(S/p)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        width, patch = config.widths[0], config.patch_size
        self.conv = nn.Conv2d(INPUT_CHANNELS, width, patch, stride=patch)
        batch = config.patch_norm == "batch"
        self.norm = nn.BatchNorm2d(width) if batch else nn.GroupNorm(1, width)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.norm(self.conv(x))
        return out


class Encoder(ContractingPath):
    """Patch embedding and the contracting path. Bx5xSxS -> one map a level, finest first."""

    patch_embedding: PatchEmbedding

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(PatchEmbedding(config), config.widths, config.block_order)


class Decoder(nn.Module):
    """The expanding path. Deepest map and skips -> BxCx(S/p)x(S/p)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        deepest_first = config.widths[::-1]
        self.levels = nn.ModuleList(
            DoubleConvUp(a, b, config) for a, b in itertools.pairwise(deepest_first)
        )

    def forward(self, x: Tensor, skips: list[Tensor]) -> Tensor:
        for level, skip in zip(self.levels, reversed(skips), strict=True):
            x = level(x, skip)
        return x


class MaskHead(nn.Module):
    """SAM's mask head: one MLP a mask token weighs the decoder's channels, one predicts the IoU."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        dim = config.embedding_dim
        self.first_mask = config.first_mask
        self.mask_mlps = nn.ModuleList(
            MLP(dim, dim, config.widths[0], hidden_layers=2) for _ in range(config.num_mask_tokens)
        )
        self.iou_mlp = MLP(dim, dim, config.num_mask_tokens, hidden_layers=2)

    def forward(self, tokens: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        masks = range(self.first_mask, len(self.mask_mlps))
        weights = torch.stack([self.mask_mlps[i](tokens[:, 1 + i]) for i in masks], dim=1)
        batch, _, height, width = features.shape
        logits = (weights @ features.flatten(2)).reshape(batch, -1, height, width)
        iou: Tensor = self.iou_mlp(tokens[:, 0])
        return logits, iou[:, self.first_mask :]


class SqueezeSAM(nn.Module):
    """Image and prompts to masks.

    The masks are in the order of their tokens, not sorted by predicted IoU.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        dim = config.embedding_dim
        self.encoder = Encoder(config)
        self.iou_token = nn.Parameter(torch.randn(1, dim))
        self.mask_tokens = nn.Parameter(torch.randn(config.num_mask_tokens, dim))
        self.point_encoder = PointEncoder(dim, config.image_size) if config.late_fusion else None
        self.transformer = TwoWayTransformer(dim, config.num_heads, config.transformer_depth)
        self.decoder = Decoder(config)
        self.mask_head = MaskHead(config)
        self.pixel_mean: Tensor
        self.pixel_std: Tensor
        # The prompt maps are in [0, 1] already and are not normalized.
        self.register_buffer("pixel_mean", _per_channel(PIXEL_MEAN, 0.0), persistent=False)
        self.register_buffer("pixel_std", _per_channel(PIXEL_STD, 1.0), persistent=False)

    def forward(
        self, image: Tensor, prompt_maps: Tensor, point_coords: Tensor, point_labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Masks and their predicted IoUs.

        Args:
            image: Bx3xSxS float RGB, pixel values 0 to 255.
            prompt_maps: Bx2xSxS float, 0 or 255 (see `sqsam_deploy.prompts.maps`).
            point_coords: BxNx2 float, (x, y) in pixels of the input square.
            point_labels: BxN float; 1 foreground, 0 background, 2 and 3 box corners, -1 padding.
                Presets without late fusion read the points from the maps alone.

        Returns:
            `low_res_masks` BxMxsxs logits and `iou_predictions` BxM.
        """
        *skips, deepest = self.encoder(self._pixels(image, prompt_maps))
        tokens = self._tokens(point_coords, point_labels)
        tokens, deepest = self.transformer(tokens, deepest)
        low_res_masks, iou_predictions = self.mask_head(tokens, self.decoder(deepest, skips))
        return low_res_masks, iou_predictions

    def _pixels(self, image: Tensor, prompt_maps: Tensor) -> Tensor:
        pixels = torch.cat([image, prompt_maps], dim=1) * (1.0 / 255.0)
        normalized: Tensor = (pixels - self.pixel_mean) / self.pixel_std
        return normalized

    def _tokens(self, point_coords: Tensor, point_labels: Tensor) -> Tensor:
        batch = point_coords.shape[0]
        outputs = torch.cat([self.iou_token, self.mask_tokens]).expand(batch, -1, -1)
        if self.point_encoder is None:
            # The release of December 2023 fills the place of the points with one zero token.
            points = torch.zeros_like(outputs[:, :1])
        else:
            points = self.point_encoder(point_coords, point_labels)
        return torch.cat([outputs, points], dim=1)


def _per_channel(rgb: tuple[float, float, float], maps: float) -> Tensor:
    return torch.tensor([*rgb, maps, maps]).reshape(1, INPUT_CHANNELS, 1, 1)

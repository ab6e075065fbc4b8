"""The folded network and the blocks that replace the original ones in it."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from sqsam_deploy.folding.channel_bias import ChannelBias
from sqsam_deploy.model.network import SqueezeSAM
from sqsam_deploy.model.prompt_encoder import PointEncoder


class ConvReLU(nn.Module):
    """What a block becomes: one convolution (plain or transposed) and ReLU."""

    def __init__(self, conv: nn.Conv2d | nn.ConvTranspose2d) -> None:
        super().__init__()
        self.conv = conv

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW -> BxKxHxW, or BxKx2Hx2W where the convolution is transposed."""
        return F.relu(self.conv(x))


class ConvReLUShift(ConvReLU):
    """The same with a shift of each channel behind it."""

    def __init__(self, conv: nn.Conv2d, shift: ChannelBias) -> None:
        super().__init__(conv)
        self.shift = shift

    def forward(self, x: Tensor) -> Tensor:
        """BxCxHxW -> BxKxHxW."""
        shifted: Tensor = self.shift(super().forward(x))
        return shifted


class FoldedMaskHead(nn.Module):
    """SAM's mask head without the masks that nobody reads.

    The tokens are sliced, not indexed: ExecuTorch's XNNPACK delegate takes slices, while
    `select` cuts the graph.
    """

    def __init__(self, mask_mlps: nn.ModuleList, iou_mlp: nn.Module, first_mask: int) -> None:
        super().__init__()
        self.mask_mlps = mask_mlps
        self.iou_mlp = iou_mlp
        self.first_mask = first_mask

    def forward(self, tokens: Tensor, features: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens 1xNxC and the decoder's map 1xCxsxs -> logits 1xMxsxs, IoUs 1xM."""
        first = 1 + self.first_mask
        weights = torch.cat(
            [mlp(tokens[:, first + i : first + i + 1]) for i, mlp in enumerate(self.mask_mlps)],
            dim=1,
        )
        _, _, height, width = features.shape
        logits = self.combine(weights, features.flatten(2)).reshape(1, -1, height, width)
        iou: Tensor = self.iou_mlp(tokens[:, :1]).flatten(1)
        return logits, iou

    def combine(self, weights: Tensor, features: Tensor) -> Tensor:
        """Weights 1xMxC and channels 1xCxP -> logits 1xMxP."""
        return weights @ features


class FoldedNetwork(nn.Module):
    """SqueezeSAM for batch 1 without pixel arithmetic: what both variants share.

    Attributes:
        tokens: 1xTxC, the tokens that depend on no input.
    """

    def __init__(self, model: SqueezeSAM, tokens: Tensor, mask_head: FoldedMaskHead) -> None:
        super().__init__()
        self.encoder = model.encoder
        self.transformer = model.transformer
        self.decoder = model.decoder
        self.mask_head = mask_head
        self.tokens: Tensor
        self.register_buffer("tokens", tokens)

    def predict(self, image: Tensor, prompt_maps: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Masks for all tokens, 1xNxC; see the variants' `forward` for the rest."""
        *skips, deepest = self.encoder(torch.cat([image, prompt_maps], dim=1))
        tokens, deepest = self.transformer(tokens, deepest)
        low_res_masks, iou_predictions = self.mask_head(tokens, self.decoder(deepest, skips))
        return low_res_masks, iou_predictions


class FoldedMapNetwork(FoldedNetwork):
    """The variant that reads its prompt from the maps alone."""

    def forward(self, image: Tensor, prompt_maps: Tensor) -> tuple[Tensor, Tensor]:
        """`low_res_masks` 1xMxsxs logits and `iou_predictions` 1xM.

        Args:
            image: 1x3xSxS float RGB, 0 to 255.
            prompt_maps: 1x2xSxS float, 0 or 255.
        """
        return self.predict(image, prompt_maps, self.tokens)


class FoldedPointNetwork(FoldedNetwork):
    """The variant whose points are tokens too (late fusion)."""

    def __init__(
        self,
        model: SqueezeSAM,
        tokens: Tensor,
        mask_head: FoldedMaskHead,
        point_encoder: PointEncoder,
    ) -> None:
        super().__init__(model, tokens, mask_head)
        self.point_encoder = point_encoder

    def forward(
        self, image: Tensor, prompt_maps: Tensor, point_coords: Tensor, point_labels: Tensor
    ) -> tuple[Tensor, Tensor]:
        """`low_res_masks` 1xMxsxs logits and `iou_predictions` 1xM.

        Args:
            image: 1x3xSxS float RGB, 0 to 255.
            prompt_maps: 1x2xSxS float, 0 or 255.
            point_coords: 1xPx2 float, (x, y) in pixels of the input square.
            point_labels: 1xP float; 1, 0, 2, 3, or -1 for padding.
        """
        points = self.point_encoder(point_coords, point_labels)
        return self.predict(image, prompt_maps, torch.cat([self.tokens, points], dim=1))

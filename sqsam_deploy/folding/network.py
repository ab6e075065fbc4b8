"""The folded network, for batch 1 and raw pixels."""

import torch
from torch import Tensor, nn

from sqsam_deploy.folding.mask_head import FoldedMaskHead
from sqsam_deploy.model.network import SqueezeSAM
from sqsam_deploy.model.prompt_encoder import PointEncoder


class FoldedNetwork(nn.Module):
    """SqueezeSAM for batch 1 without pixel arithmetic, the base of both variants.

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

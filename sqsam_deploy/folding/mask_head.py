"""The mask head without the masks that are not returned, and with the decoder's last norm."""

import torch
from torch import Tensor, nn

from sqsam_deploy.folding.channel_affine import ChannelAffine
from sqsam_deploy.folding.steps import FoldStep
from sqsam_deploy.model.network import MaskHead
from sqsam_deploy.model.transformer import MLP


class FoldedMaskHead(nn.Module):
    """SAM's mask head without the masks that no output depends on.

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


class ShiftedMaskHead(FoldedMaskHead):
    """A mask head whose MLPs return one more number: the shift's part of the mask's logits."""

    def combine(self, weights: Tensor, features: Tensor) -> Tensor:
        """Weights 1xMx(C+1) and channels 1xCxP -> logits 1xMxP."""
        return weights[:, :, :-1] @ features + weights[:, :, -1:]


def drop_unused_masks(head: MaskHead) -> tuple[FoldedMaskHead, list[FoldStep]]:
    """The head with only the masks and IoUs from `first_mask` on.

    The dropped masks' *tokens* stay: the other tokens attend to them.
    """
    first = head.first_mask
    _keep_rows(head.iou_mlp, first)
    folded = FoldedMaskHead(nn.ModuleList(head.mask_mlps[first:]), head.iou_mlp, first)
    steps = [
        FoldStep(f"mask_head.mask_mlps.{i}", "unused", reason="its mask is not returned")
        for i in range(first)
    ]
    return folded, steps


def fold_into_mask_weights(head: FoldedMaskHead, affine: ChannelAffine) -> ShiftedMaskHead:
    """The head that reads a stored map of features; its MLPs are changed in place.

    `weights @ original` is `(weights * sign) @ stored + weights @ shift`; both are linear in
    what the MLPs return.
    """
    readers = torch.cat([torch.diag(affine.sign), affine.shift.unsqueeze(0)])
    for mlp in head.mask_mlps:
        assert isinstance(mlp, MLP)
        mlp.out = _composed(readers, mlp.out)
    return ShiftedMaskHead(head.mask_mlps, head.iou_mlp, head.first_mask)


def _composed(readers: Tensor, out: nn.Linear) -> nn.Linear:
    """`readers @ out(x)` as one linear layer."""
    folded = nn.Linear(out.in_features, readers.shape[0], device="meta")
    weight, bias = readers @ out.weight.double(), readers @ out.bias.double()
    folded.weight = nn.Parameter(weight.float(), requires_grad=False)
    folded.bias = nn.Parameter(bias.float(), requires_grad=False)
    return folded


def _keep_rows(mlp: MLP, first: int) -> None:
    out = mlp.out
    out.weight = _frozen(out.weight[first:])
    out.bias = _frozen(out.bias[first:])
    out.out_features -= first


def _frozen(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values.detach().clone(), requires_grad=False)

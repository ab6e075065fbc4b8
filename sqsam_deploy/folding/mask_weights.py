"""The decoder's last norm: into the MLPs that weigh its channels."""

import torch
from torch import Tensor, nn

from sqsam_deploy.folding.channel_affine import ChannelAffine
from sqsam_deploy.folding.network import FoldedMaskHead
from sqsam_deploy.model.transformer import MLP


class ShiftedMaskHead(FoldedMaskHead):
    """A mask head whose MLPs return one more number: what the shift adds to the mask's logits."""

    def combine(self, weights: Tensor, features: Tensor) -> Tensor:
        """Weights 1xMx(C+1) and channels 1xCxP -> logits 1xMxP."""
        return weights[:, :, :-1] @ features + weights[:, :, -1:]


def fold_into_mask_weights(head: FoldedMaskHead, mix: ChannelAffine) -> ShiftedMaskHead:
    """`weights @ true` is `(weights * sign) @ stored + weights @ shift`; both are linear.

    The head's MLPs are changed in place.
    """
    readers = torch.cat([torch.diag(mix.sign), mix.shift.unsqueeze(0)])
    for mlp in head.mask_mlps:
        assert isinstance(mlp, MLP)
        mlp.out = _behind(mlp.out, readers)
    return ShiftedMaskHead(head.mask_mlps, head.iou_mlp, head.first_mask)


def _behind(out: nn.Linear, readers: Tensor) -> nn.Linear:
    """`readers @ out(x)` as one linear layer."""
    folded = nn.Linear(out.in_features, readers.shape[0], device="meta")
    weight, bias = readers @ out.weight.double(), readers @ out.bias.double()
    folded.weight = nn.Parameter(weight.float(), requires_grad=False)
    folded.bias = nn.Parameter(bias.float(), requires_grad=False)
    return folded

"""What no output depends on: mask tokens that are not returned."""

from torch import Tensor, nn

from sqsam_deploy.folding.network import FoldedMaskHead
from sqsam_deploy.folding.steps import FoldStep
from sqsam_deploy.model.network import MaskHead
from sqsam_deploy.model.transformer import MLP


def drop_unused_masks(head: MaskHead) -> tuple[FoldedMaskHead, list[FoldStep]]:
    """The head with the masks and IoUs from `first_mask` on, alone.

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


def _keep_rows(mlp: MLP, first: int) -> None:
    out = mlp.out
    out.weight = _frozen(out.weight[first:])
    out.bias = _frozen(out.bias[first:])
    out.out_features -= first


def _frozen(values: Tensor) -> nn.Parameter:
    return nn.Parameter(values.detach().clone(), requires_grad=False)

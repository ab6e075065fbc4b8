"""Matrix products."""

from torch import Tensor
from torch.nn import functional as F

from sqsam_deploy.runtimes.coreml.reference.operators.table import operator


@operator
def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """...xC with a KxC weight -> ...xK."""
    return F.linear(x, weight, bias)


@operator
def matmul(x: Tensor, y: Tensor, transpose_x: bool = False, transpose_y: bool = False) -> Tensor:
    """Batched product of the last two axes, each side transposed first if asked for."""
    left = x.transpose(-1, -2) if transpose_x else x
    right = y.transpose(-1, -2) if transpose_y else y
    return left @ right

"""Pooling over one to three spatial axes."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.runtimes.coreml.reference.operators.padding import resolve_pads, torch_pads
from sqsam_deploy.runtimes.coreml.reference.operators.table import operator

_MAX_POOL = {1: F.max_pool1d, 2: F.max_pool2d, 3: F.max_pool3d}


@operator
def max_pool(
    x: Tensor,
    kernel_sizes: Sequence[int],
    pad_type: str,
    strides: Sequence[int] | None = None,
    pad: Sequence[int] | None = None,
    ceil_mode: bool = False,
) -> Tensor:
    """Largest value of each window; padding never wins.

    Raises:
        ArtifactError: `ceil_mode`, which no program of this package uses.
    """
    if ceil_mode:
        raise ArtifactError("the reference executor does not know max_pool with ceil_mode")
    rank = x.ndim - 2
    stride = list(strides or [1] * rank)
    pads = resolve_pads(pad_type, pad, x.shape[2:], kernel_sizes, stride, [1] * rank)
    padded = F.pad(x, torch_pads(pads), value=-torch.inf) if any(map(any, pads)) else x
    pooled: Tensor = _MAX_POOL[rank](padded, list(kernel_sizes), stride)
    return pooled

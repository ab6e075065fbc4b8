"""Activations."""

import torch
from torch import Tensor
from torch.nn import functional as F

from sqsam_deploy.runtimes.coreml.reference.operators.table import operator


@operator
def relu(x: Tensor) -> Tensor:
    """max(x, 0)."""
    return F.relu(x)


@operator
def relu6(x: Tensor) -> Tensor:
    """min(max(x, 0), 6)."""
    return F.relu6(x)


@operator
def sigmoid(x: Tensor) -> Tensor:
    """1 / (1 + exp(-x))."""
    return torch.sigmoid(x)


@operator
def clip(x: Tensor, alpha: float, beta: float) -> Tensor:
    """min(max(x, alpha), beta)."""
    return torch.clamp(x, alpha, beta)


@operator
def softmax(x: Tensor, axis: int = -1) -> Tensor:
    """exp(x) over its sum along `axis`."""
    return F.softmax(x, dim=axis)

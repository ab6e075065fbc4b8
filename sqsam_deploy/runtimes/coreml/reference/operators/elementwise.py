"""Arithmetic of one or two broadcast tensors."""

import torch
from torch import Tensor

from sqsam_deploy.runtimes.coreml.reference.operators.table import operator


@operator
def add(x: Tensor, y: Tensor) -> Tensor:
    """x + y."""
    return x + y


@operator
def sub(x: Tensor, y: Tensor) -> Tensor:
    """x - y."""
    return x - y


@operator
def mul(x: Tensor, y: Tensor) -> Tensor:
    """x * y."""
    return x * y


@operator
def real_div(x: Tensor, y: Tensor) -> Tensor:
    """x / y."""
    return x / y


@operator
def maximum(x: Tensor, y: Tensor) -> Tensor:
    """The larger of both."""
    return torch.maximum(x, y)


@operator
def minimum(x: Tensor, y: Tensor) -> Tensor:
    """The smaller of both."""
    return torch.minimum(x, y)


@operator
def abs_(x: Tensor) -> Tensor:
    """|x|."""
    return torch.abs(x)


@operator
def sin(x: Tensor) -> Tensor:
    """Sine of radians."""
    return torch.sin(x)


@operator
def cos(x: Tensor) -> Tensor:
    """Cosine of radians."""
    return torch.cos(x)


@operator
def square(x: Tensor) -> Tensor:
    """x * x."""
    return x * x


@operator
def sqrt(x: Tensor) -> Tensor:
    """Square root."""
    return torch.sqrt(x)


@operator
def rsqrt(x: Tensor, epsilon: float = 1e-12) -> Tensor:
    """1 / sqrt(x + epsilon)."""
    return torch.rsqrt(x + epsilon)


@operator
def identity(x: Tensor) -> Tensor:
    """x."""
    return x


@operator
def cast(x: Tensor, dtype: str) -> Tensor:
    """x; the executor rounds every result to the type the program declares for it."""
    del dtype
    return x

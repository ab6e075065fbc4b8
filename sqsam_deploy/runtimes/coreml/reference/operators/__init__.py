"""MIL's operators in torch, grouped as in coremltools' documentation of them.

Semantics: `coremltools.converters.mil.mil.ops.defs`, opsets iOS15 to iOS18.
"""

from sqsam_deploy.runtimes.coreml.reference.operators import (
    activation,
    constexpr,
    convolution,
    elementwise,
    linear,
    normalization,
    pooling,
    quantization,
    reduction,
    shape,
)
from sqsam_deploy.runtimes.coreml.reference.operators.table import (
    Operator,
    find_operator,
    operator_names,
)

__all__ = [
    "Operator",
    "activation",
    "constexpr",
    "convolution",
    "elementwise",
    "find_operator",
    "linear",
    "normalization",
    "operator_names",
    "pooling",
    "quantization",
    "reduction",
    "shape",
]

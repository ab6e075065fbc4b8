"""The choice of layers to quantize and of how their ranges are found."""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Literal

#: How activation ranges are chosen; see `sqsam_deploy.quantization.observers`.
RangeChoice = Literal["min-max", "percentile", "mse"]
#: What can be done to weights and biases; see the module of each in `sqsam_deploy.quantization`.
Refinement = Literal["equalization", "bias correction"]


@dataclass(frozen=True)
class QuantizationScheme:
    """One way to quantize a network to int8.

    Attributes:
        ranges: How the range of an activation is chosen.
        keep_float: Patterns of module names (`mask_head.*`) that stay in float.
        refinements: Changes of weights and biases that lessen the error of rounding.
    """

    ranges: RangeChoice = "min-max"
    keep_float: tuple[str, ...] = ()
    refinements: tuple[Refinement, ...] = ()

    def keeps_float(self, module: str) -> bool:
        """Whether a module (dotted name in the folded network) stays in float."""
        return any(fnmatchcase(module, pattern) for pattern in self.keep_float)


#: Chosen by measured quality: docs/quantization.md has the table.
DEFAULT_SCHEME = QuantizationScheme()

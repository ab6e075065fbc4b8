"""Weights of few different values, stored as indices into palettes."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy._internal.upstream.coremltools import coremltools
from sqsam_deploy.quantization.palettes import SMALLEST_LAYER, channels_per_palette

if TYPE_CHECKING:
    from coremltools.models import MLModel

#: Bits of an index that programs are made with (Core ML knows 1, 2, 3 and 8, too).
_BITS = (4, 6)


def palettized(model: "MLModel") -> "MLModel":
    """A model whose palettized weights are indices and palettes, which changes no value.

    Args:
        model: For iOS 18. Its palettized layers are recognized by their few different weights
            (`quantization.palettize`); the others stay as they are.
    """
    optimize = coremltools().optimize.coreml
    weights = optimize.get_weights_metadata(model, SMALLEST_LAYER - 1)
    found = {name: _config(weight) for name, weight in weights.items()}
    config = optimize.OptimizationConfig(
        op_name_configs={name: each for name, each in found.items() if each is not None}
    )
    packed: MLModel = optimize.palettize_weights(model, config)
    return packed


def _config(weight: Any) -> Any:
    """How coremltools finds the palettes of a weight; None where there are none."""
    transposed = weight.child_ops[0].op_type == "conv_transpose"
    values = np.moveaxis(weight.val, 1, 0) if transposed else weight.val
    for bits in _BITS:
        group = channels_per_palette(len(values), values.size, bits)
        if _colors(values, group) <= 2**bits:
            return coremltools().optimize.coreml.OpPalettizerConfig(
                mode="unique", granularity="per_grouped_channel", group_size=group
            )
    return None


def _colors(values: NDArray[np.generic], group: int) -> int:
    """The most different values that `group` channels share."""
    return max(len(np.unique(part)) for part in np.split(values, len(values) // group))

"""The int8 weights and the bias of a convolution, read and replaced as a whole."""

from dataclasses import dataclass

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from sqsam_deploy.runtimes.onnx.passes.graph import Emitter, add_constant, array_of, producer_of


@dataclass(frozen=True)
class Filters:
    """Weights of a convolution with O output channels.

    Attributes:
        values: Int8, Oxinxrowsxcolumns; in a transposed convolution inxOxrowsxcolumns.
        scales: O float32; the zero points are 0.
        bias: O float32.
    """

    values: NDArray[np.generic]
    scales: NDArray[np.generic]
    bias: NDArray[np.generic]


def filters_of(convolution: ir.Node) -> Filters | None:
    """A convolution's weights and bias; None where they are not constant int8 with a bias."""
    dequantize = producer_of(convolution.inputs[1], "DequantizeLinear")
    if dequantize is None or len(convolution.inputs) < 3:
        return None
    values, scales = (array_of(value) for value in dequantize.inputs[:2])
    bias = array_of(convolution.inputs[2])
    if values is None or scales is None or bias is None or scales.ndim != 1:
        return None
    return Filters(values, scales, bias)


def set_filters(graph: ir.Graph, convolution: ir.Node, filters: Filters, suffix: str) -> None:
    """Replaces a convolution's weights and bias; the new constants' names end in `suffix`."""
    _, weight, bias = convolution.inputs
    dequantize = producer_of(weight, "DequantizeLinear")
    assert weight is not None and bias is not None and dequantize is not None
    stored, scales, _ = dequantize.inputs
    assert stored is not None and scales is not None
    count = len(filters.scales)
    constants = [
        add_constant(graph, f"{stored.name}_{suffix}", np.ascontiguousarray(filters.values)),
        add_constant(graph, f"{stored.name}_scales_{suffix}", filters.scales),
        add_constant(graph, f"zero_points_x{count}", np.zeros(count, np.int8)),
    ]
    output = ir.val(f"{weight.name}_{suffix}", weight.dtype, filters.values.shape)
    Emitter(graph, convolution).node("DequantizeLinear", constants, output, axis=0)
    convolution.replace_input_with(1, output)
    new_bias = add_constant(graph, f"{bias.name}_{suffix}", filters.bias)
    convolution.replace_input_with(2, new_bias)

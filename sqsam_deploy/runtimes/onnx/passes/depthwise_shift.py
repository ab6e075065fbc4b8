"""Constants added to a feature map, by a 1x1 convolution that keeps channels apart.

Folding a norm behind a ReLU can leave an addition of one constant a channel. ONNX Runtime's integer
addition repeats its preparation for every pixel when the channels are last; its depthwise kernel
takes the constants as biases. For 64x256x256 values: 1.3 ms against 0.1 ms.
"""

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray

from sqsam_deploy.runtimes.onnx.passes.graph import (
    Emitter,
    add_constant,
    array_of,
    only_reader,
    producer_of,
    quantization_of,
    sizes_of,
)

#: The kernel's only weight, times its scale, is 1. The larger it is, the finer is the step that a
#: bias is rounded to; a power of two keeps the product exact.
_WEIGHT = 64


class ShiftByConvolution(ir.passes.InPlacePass):
    """Replaces each addition of a constant to a dequantized map before its quantization. Exact.

    `QuantizeBiases` then rounds the constants to a 64th of a step of the map.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Applies the pass in place."""
        additions = [node for node in model.graph if node.op_type == "Add"]
        count = sum(_rewrite(model.graph, node) for node in additions)
        return ir.passes.PassResult(model, modified=count > 0)


def _rewrite(graph: ir.Graph, addition: ir.Node) -> bool:
    (output,) = addition.outputs
    if output.shape is None or len(output.shape) != 4 or not only_reader(output, "QuantizeLinear"):
        return False
    channels = sizes_of(output)[1]
    for x, constant in (addition.inputs, addition.inputs[::-1]):
        shift = _constant(constant)
        if x is None or producer_of(x, "DequantizeLinear") is None or array_of(x) is not None:
            continue
        if shift is not None and shift.shape == (1, channels, 1, 1):
            _convolve(Emitter(graph, addition), x, shift.reshape(-1), output)
            return True
    return False


def _constant(value: ir.Value | None) -> NDArray[np.float32] | None:
    """A constant's values, dequantized where they are stored with one scale."""
    dequantize = producer_of(value, "DequantizeLinear")
    if dequantize is None:
        return array_of(value)
    stored, quantization = array_of(dequantize.inputs[0]), quantization_of(dequantize)
    if stored is None or quantization is None:
        return None
    steps = stored.astype(np.float32) - quantization.zero_point
    return steps * np.float32(quantization.scale)


def _convolve(emitter: Emitter, x: ir.Value, shift: NDArray[np.float32], output: ir.Value) -> None:
    """Makes the readers of `output` read `x + shift` as a depthwise convolution."""
    name, count = f"{output.name}_shift", len(shift)

    def constant(suffix: str, array: NDArray[np.generic]) -> ir.Value:
        return add_constant(emitter.graph, f"{name}_{suffix}", array)

    kernel = emitter.node(
        "DequantizeLinear",
        [
            constant("kernel", np.full((count, 1, 1, 1), _WEIGHT, np.int8)),
            constant("scales", np.full(count, 1 / _WEIGHT, np.float32)),
            constant("zero_points", np.zeros(count, np.int8)),
        ],
        ir.val(f"{name}_ones", output.dtype, (count, 1, 1, 1)),
        axis=0,
    )
    shifted = emitter.node(
        "Conv",
        [x, kernel, constant("constants", shift)],
        ir.val(name, output.dtype, output.shape),
        kernel_shape=[1, 1],
        group=count,
    )
    output.replace_all_uses_with(shifted)

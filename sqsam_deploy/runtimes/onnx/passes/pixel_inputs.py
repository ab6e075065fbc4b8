"""One uint8 input in the layout that cameras, decoders and the first convolution use.

Pixels are whole numbers from 0 to 255: uint8 holds them without loss, in a quarter of the memory of
float32, and nothing is left to quantize.
"""

import onnx_ir as ir

from sqsam_deploy.artifact.metadata import PIXELS
from sqsam_deploy.runtimes.onnx.passes.graph import (
    Emitter,
    Quantization,
    only_reader,
    quantization_of,
    sizes_of,
)

#: The inputs that are joined, in the order of their channels.
JOINED = ("image", "prompt_maps")

_BYTES = Quantization(scale=1.0, zero_point=0, dtype=ir.DataType.UINT8)


class TakePixelsAsBytes(ir.passes.InPlacePass):
    """Replaces the float32 inputs of the pixels by one uint8 input, 1xSxSxC, channels last.

    Exact for whole numbers from 0 to 255. Expects them quantized with a step of 1 and counted from
    zero (`CountActivationsFromZero`).
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Applies the pass in place."""
        graph = model.graph
        inputs = [value for value in graph.inputs if value.name in JOINED]
        quantized = [_bytes_of(value) for value in inputs]
        planes = _joined([value for value in quantized if value is not None])
        if None in quantized or planes is None:
            return ir.passes.PassResult(model, modified=False)
        batch, channels, height, width = sizes_of(planes)
        pixels = ir.val(PIXELS, ir.DataType.UINT8, (batch, height, width, channels))
        emitter = Emitter(graph, planes.consumers()[0])
        planes.replace_all_uses_with(emitter.transpose(pixels, 0, 3, 1, 2, name=f"{PIXELS}_planes"))
        others = [value for value in graph.inputs if value.name not in JOINED]
        graph.inputs[:] = [pixels, *others]
        return ir.passes.PassResult(model, modified=bool(inputs))


def _bytes_of(value: ir.Value) -> ir.Value | None:
    """An input as its only reader quantizes it; None where that is not with a step of 1."""
    quantize = only_reader(value, "QuantizeLinear")
    if quantize is None or quantization_of(quantize) != _BYTES:
        return None
    output: ir.Value = quantize.outputs[0]
    return output


def _joined(quantized: list[ir.Value]) -> ir.Value | None:
    """All planes as one value."""
    if len(quantized) == 1:
        return quantized[0]
    joins = {only_reader(value, "Concat") for value in quantized}
    join = joins.pop() if len(joins) == 1 else None
    return None if join is None else join.outputs[0]

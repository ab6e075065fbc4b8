"""The mask head's last product on integers.

Every mask is a sum of the decoder's channels, weighted by what one small network makes of its
token. Both are quantized: the map as a whole, the weights with one scale a mask. The program
dequantizes the whole map (16 MB in `paper`) and multiplies in float. With the pixels as rows and
the masks as columns it is an integer product with one scale a column, and the map stays as the last
convolution writes it.
"""

import numpy as np
import onnx_ir as ir

from sqsam_deploy.runtimes.onnx.passes.graph import (
    Emitter,
    Quantization,
    add_constant,
    first_input,
    producer_of,
    quantization_of,
    sizes_of,
)


class MultiplyMasksAsIntegers(ir.passes.InPlacePass):
    """Rewrites each product of joined, separately quantized rows with a quantized map.

    Exact up to the order of a float sum: the values that are multiplied are the same.
    """

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Applies the pass in place."""
        products = [node for node in model.graph if node.op_type == "MatMul"]
        count = sum(_rewrite(model.graph, node) for node in products)
        return ir.passes.PassResult(model, modified=count > 0)


def _rewrite(graph: ir.Graph, product: ir.Node) -> bool:
    # The last norm's constant may be one weight more, which is cut off and added behind.
    cut = producer_of(product.inputs[0], "Slice")
    join = producer_of(product.inputs[0] if cut is None else cut.inputs[0], "Concat")
    source = producer_of(product.inputs[1], "DequantizeLinear")
    flat = None if source is None else producer_of(source.inputs[0], "Reshape")
    if join is None or source is None or flat is None or flat.inputs[0] is None:
        return False
    rows = [producer_of(value, "DequantizeLinear") for value in join.inputs]
    weights = [row for row in rows if row is not None]
    parameters = [q for row in weights if (q := quantization_of(row)) is not None]
    if len(parameters) != len(join.inputs) or len(sizes_of(flat.inputs[0])) != 4:
        return False
    emitter = Emitter(graph, product)
    quantized = _mask_rows(emitter, join, cut, weights)
    columns = _mask_columns(emitter, quantized, first_input(product), parameters)
    pixels = _pixel_rows(emitter, flat.inputs[0], source)
    count, (output,) = len(parameters), product.outputs
    shape = (sizes_of(pixels)[0], count)
    masks = emitter.node(
        "MatMul", [pixels, columns], ir.val(f"{output.name}_columns", output.dtype, shape)
    )
    masks = emitter.transpose(masks, 1, 0, name=f"{output.name}_rows")
    masks = emitter.reshape(masks, *sizes_of(output), name=f"{output.name}_masks")
    output.replace_all_uses_with(masks)
    return True


def _mask_rows(
    emitter: Emitter, join: ir.Node, cut: ir.Node | None, weights: list[ir.Node]
) -> ir.Value:
    """1xMxC: the quantized weights, joined and cut as the program does with the dequantized."""
    first = weights[0].inputs[0]
    assert first is not None
    (joined,) = join.outputs
    name = f"{joined.name}_quantized"
    rows = emitter.node(
        "Concat",
        [row.inputs[0] for row in weights],
        ir.val(name, first.dtype, joined.shape),
        axis=join.attributes["axis"].as_int(),
    )
    if cut is None:
        return rows
    output = ir.val(f"{name}_cut", first.dtype, cut.outputs[0].shape)
    return emitter.node("Slice", [rows, *cut.inputs[1:]], output)


def _mask_columns(
    emitter: Emitter, rows: ir.Value, weights: ir.Value, parameters: list[Quantization]
) -> ir.Value:
    """CxM: the weights of each mask, dequantized with its own scale."""
    _, masks, channels = sizes_of(rows)
    name, first = f"{rows.name}_columns", parameters[0]
    flat = emitter.reshape(rows, masks, channels, name=f"{name}_flat")
    columns = emitter.transpose(flat, 1, 0, name=name)
    scales = np.array([p.scale for p in parameters], np.float32)
    zero_points = np.array([p.zero_point for p in parameters], first.dtype.numpy())
    return emitter.node(
        "DequantizeLinear",
        [
            columns,
            add_constant(emitter.graph, f"{name}_scales", scales),
            add_constant(emitter.graph, f"{name}_zero_points", zero_points),
        ],
        ir.val(f"{name}_dequantized", weights.dtype, (channels, masks)),
        axis=1,
    )


def _pixel_rows(emitter: Emitter, features: ir.Value, source: ir.Node) -> ir.Value:
    """(H*W)xC: the quantized map, dequantized as `source` does."""
    _, channels, height, width = sizes_of(features)
    name = f"{features.name}_pixels"
    rows = emitter.transpose(features, 0, 2, 3, 1, name=f"{name}_last")
    rows = emitter.reshape(rows, height * width, channels, name=name)
    output = ir.val(f"{name}_dequantized", source.outputs[0].dtype, (height * width, channels))
    return emitter.node("DequantizeLinear", [rows, *source.inputs[1:]], output)

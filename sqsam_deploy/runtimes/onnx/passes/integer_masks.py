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
    producer_of,
    quantization_of,
    sizes_of,
)


def multiply_masks_as_integers(model: ir.Model) -> int:
    """Rewrites each product of joined, separately quantized rows with a quantized map.

    Exact up to the order of a float sum: the values that are multiplied are the same.

    Returns:
        Products rewritten.
    """
    products = [node for node in model.graph if node.op_type == "MatMul"]
    return sum(_rewrite(model.graph, node) for node in products)


def _rewrite(graph: ir.Graph, product: ir.Node) -> bool:
    join = producer_of(product.inputs[0], "Concat")
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
    columns = _mask_columns(emitter, join, weights, parameters)
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


def _mask_columns(
    emitter: Emitter, join: ir.Node, weights: list[ir.Node], parameters: list[Quantization]
) -> ir.Value:
    """CxM: the weights of each mask, dequantized with its own scale."""
    (joined,) = join.outputs
    _, masks, channels = sizes_of(joined)
    name = f"{joined.name}_quantized"
    rows = emitter.node(
        "Concat",
        [row.inputs[0] for row in weights],
        ir.val(name, parameters[0].dtype, (1, masks, channels)),
        axis=1,
    )
    rows = emitter.reshape(rows, masks, channels, name=f"{name}_rows")
    columns = emitter.transpose(rows, 1, 0, name=f"{name}_columns")
    scales = np.array([p.scale for p in parameters], np.float32)
    zero_points = np.array([p.zero_point for p in parameters], parameters[0].dtype.numpy())
    return emitter.node(
        "DequantizeLinear",
        [
            columns,
            add_constant(emitter.graph, f"{name}_scales", scales),
            add_constant(emitter.graph, f"{name}_zero_points", zero_points),
        ],
        ir.val(f"{name}_dequantized", joined.dtype, (channels, masks)),
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

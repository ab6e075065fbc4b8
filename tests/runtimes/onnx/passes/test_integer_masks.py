from sqsam_deploy.runtimes.onnx.passes.integer_masks import multiply_masks_as_integers
from sqsam_deploy.runtimes.onnx.passes.quantized_moves import keep_moves_quantized
from tests.runtimes.onnx.passes.graphs import (
    outputs,
    rewritten,
    steps_apart,
    tiny_feeds,
    tiny_graph,
)


def test_the_mask_product_reads_integers_with_one_scale_a_mask() -> None:
    after = rewritten(tiny_graph(), keep_moves_quantized, multiply_masks_as_integers)
    (product,) = [
        n for n in after.graph if n.op_type == "MatMul" and n.outputs[0].name.endswith("_columns")
    ]
    pixels, weights = (value.producer() for value in product.inputs)
    assert (pixels.op_type, weights.op_type) == ("DequantizeLinear", "DequantizeLinear")
    assert list(product.outputs[0].shape.numpy()) == [16 * 16, 4]
    assert weights.inputs[1].const_value.numpy().shape == (4,)


def test_the_masks_differ_by_the_order_of_a_sum_at_most() -> None:
    before = rewritten(tiny_graph(), keep_moves_quantized)
    after = rewritten(tiny_graph(), keep_moves_quantized, multiply_masks_as_integers)
    assert steps_apart(outputs(before, tiny_feeds()), outputs(after, tiny_feeds())) < 1e-6

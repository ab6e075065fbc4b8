from sqsam_deploy.runtimes.onnx.passes.pointwise_upsampling import rewrite_upsampling
from sqsam_deploy.runtimes.onnx.passes.quantized_moves import keep_moves_quantized
from tests.runtimes.onnx.passes.graphs import (
    operators,
    outputs,
    rewritten,
    same,
    tiny_feeds,
    tiny_graph,
)


def test_transposed_convolutions_become_pointwise_ones() -> None:
    before, after = tiny_graph(), rewritten(tiny_graph(), rewrite_upsampling)
    assert operators(before)["ConvTranspose"] == 4
    assert operators(after)["ConvTranspose"] == 0
    assert operators(after)["Conv"] == operators(before)["Conv"] + 4
    assert same(outputs(before, tiny_feeds()), outputs(after, tiny_feeds()))


def test_the_move_works_on_integers_behind_the_quantization() -> None:
    after = rewritten(tiny_graph(), keep_moves_quantized, rewrite_upsampling)
    moves = [n for n in after.graph if n.outputs[0].name.endswith("_spread")]
    assert len(moves) == 4
    assert all(node.outputs[0].dtype.itemsize == 1 for node in moves)

import onnx_ir as ir

from sqsam_deploy.runtimes.onnx.passes.pointwise_upsampling import RewriteUpsampling
from sqsam_deploy.runtimes.onnx.passes.quantized_moves import KeepMovesQuantized
from tests.runtimes.onnx.passes.graphs import (
    operators,
    outputs,
    rewritten,
    same,
    tiny_feeds,
    tiny_graph,
)


def test_transposed_convolutions_become_pointwise_ones() -> None:
    before, after = tiny_graph(), rewritten(tiny_graph(), RewriteUpsampling())
    assert operators(before)["ConvTranspose"] > operators(after)["ConvTranspose"] == 0
    assert same(outputs(before, tiny_feeds()), outputs(after, tiny_feeds()))


def test_the_moves_work_on_integers_behind_the_quantization() -> None:
    before = rewritten(tiny_graph(), KeepMovesQuantized())
    after = rewritten(tiny_graph(), KeepMovesQuantized(), RewriteUpsampling())
    assert _float_transposes(after) == _float_transposes(before)
    assert operators(after)["Transpose"] > operators(before)["Transpose"]


def _float_transposes(model: ir.Model) -> int:
    transposes = [node for node in model.graph if node.op_type == "Transpose"]
    return sum(node.outputs[0].dtype.itemsize > 1 for node in transposes)

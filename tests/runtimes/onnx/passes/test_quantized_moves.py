import onnx_ir as ir

from sqsam_deploy.runtimes.onnx.passes.quantized_moves import KeepMovesQuantized
from tests.runtimes.onnx.passes.graphs import (
    operators,
    outputs,
    rewritten,
    same,
    shuffled_feeds,
    shuffled_graph,
    tiny_feeds,
    tiny_graph,
)


def test_maps_are_pooled_joined_and_reshaped_as_integers() -> None:
    after = rewritten(tiny_graph(), KeepMovesQuantized())
    maps = [n for n in after.graph if n.op_type in ("MaxPool", "Concat") and _is_map(n)]
    assert maps and {node.outputs[0].dtype for node in maps} == {ir.DataType.INT8}


def test_the_function_stays() -> None:
    for graph, feeds in ((tiny_graph, tiny_feeds()), (shuffled_graph, shuffled_feeds())):
        before, after = graph(), rewritten(graph(), KeepMovesQuantized())
        assert operators(after)["QuantizeLinear"] < operators(before)["QuantizeLinear"]
        assert same(outputs(before, feeds), outputs(after, feeds))


def test_a_join_of_different_scales_stays_float() -> None:
    model = ir.from_onnx_text("""
        <ir_version: 8, opset_import: ["" : 18]>
        joined (int8[1,4] x, int8[1,4] y) => (int8[1,8] z)
        <float a = {0.5}, float b = {0.25}, int8 zero = {0}> {
            x_float = DequantizeLinear(x, a, zero)
            y_float = DequantizeLinear(y, b, zero)
            both = Concat<axis: int = 1>(x_float, y_float)
            z = QuantizeLinear(both, a, zero)
        }""")
    assert not KeepMovesQuantized()(model).modified


def _is_map(node: ir.Node) -> bool:
    shape = node.outputs[0].shape
    return shape is not None and len(shape) == 4

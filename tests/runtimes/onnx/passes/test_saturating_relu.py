import numpy as np
import onnx_ir as ir
import pytest
from onnx_ir.passes.common import RemoveUnusedNodesPass

from sqsam_deploy.runtimes.onnx.passes.saturating_relu import DropSaturatingRelu
from tests.runtimes.onnx.passes.graphs import (
    operators,
    outputs,
    rewritten,
    same,
    tiny_feeds,
    tiny_graph,
)


def test_relus_before_a_quantization_that_starts_at_zero_go() -> None:
    before, after = tiny_graph(), rewritten(tiny_graph(), DropSaturatingRelu())
    assert operators(after)["Relu"] < operators(before)["Relu"] / 10
    assert same(outputs(before, tiny_feeds()), outputs(after, tiny_feeds()))


@pytest.mark.parametrize(("zero_point", "relus"), [(-128, 0), (-127, 1), (0, 1)])
def test_a_relu_that_quantization_does_not_do_stays(zero_point: int, relus: int) -> None:
    model = ir.from_onnx_text(f"""
        <ir_version: 8, opset_import: ["" : 18]>
        quantized (float[1,4] x) => (int8[1,4] y)
        <float scale = {{0.5}}, int8 zero = {{{zero_point}}}> {{
            positive = Relu(x)
            y = QuantizeLinear(positive, scale, zero)
        }}""")
    feeds = {"x": np.array([[-70.0, -1.0, 0.0, 100.0]], np.float32)}
    before = outputs(model, feeds)
    assert DropSaturatingRelu()(model).modified == (relus == 0)
    RemoveUnusedNodesPass()(model)
    assert same(before, outputs(model, feeds))

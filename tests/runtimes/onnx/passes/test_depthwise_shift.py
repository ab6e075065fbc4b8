from pathlib import Path

import numpy as np
import onnx_ir as ir

from sqsam_deploy.runtimes.onnx.passes import INT8_PASSES
from sqsam_deploy.runtimes.onnx.passes.depthwise_shift import ShiftByConvolution
from tests.runtimes.onnx.passes.graphs import optimized, outputs, rewritten, same

_FEEDS = {"x": np.random.default_rng(0).normal(size=(1, 16, 6, 6)).astype(np.float32)}


def _shifted() -> ir.Model:
    """A map and two constants for each of its channels, one of them stored as int8."""
    shift = ", ".join(str(round(0.37 * i - 2, 2)) for i in range(16))
    integers = ", ".join(str(5 * i - 40) for i in range(16))
    return ir.from_onnx_text(f"""
        <ir_version: 8, opset_import: ["" : 18]>
        shifted (float[1,16,6,6] x) => (float[1,16,6,6] y)
        <float s = {{0.05}}, float t = {{0.06}}, int8 z = {{-3}}, int8 zero = {{0}},
         float[1,16,1,1] shift = {{{shift}}}, int8[1,16,1,1] stored = {{{integers}}}> {{
            x_q = QuantizeLinear(x, s, z)
            x_d = DequantizeLinear(x_q, s, z)
            first = Add(x_d, shift)
            first_q = QuantizeLinear(first, t, z)
            first_d = DequantizeLinear(first_q, t, z)
            constant = DequantizeLinear(stored, s, zero)
            second = Add(constant, first_d)
            second_q = QuantizeLinear(second, t, zero)
            y = DequantizeLinear(second_q, t, zero)
        }}""")


def _ready() -> ir.Model:
    from onnx_ir.passes.common import ShapeInferencePass

    model = _shifted()
    ShapeInferencePass()(model)
    return model


def test_constants_become_biases_and_the_function_stays() -> None:
    before, after = _ready(), rewritten(_ready(), ShiftByConvolution())
    assert same(outputs(before, _FEEDS), outputs(after, _FEEDS))


def test_onnx_runtime_executes_them_on_integers(tmp_path: Path) -> None:
    executed = optimized(rewritten(_ready(), *INT8_PASSES), str(tmp_path))
    assert executed["QLinearConv"] == 2


def test_the_sum_of_two_maps_stays() -> None:
    model = ir.from_onnx_text("""
        <ir_version: 8, opset_import: ["" : 18]>
        sum (int8[1,4,2,2] a, int8[1,4,2,2] b) => (int8[1,4,2,2] y)
        <float s = {0.5}, int8 z = {0}> {
            a_d = DequantizeLinear(a, s, z)
            b_d = DequantizeLinear(b, s, z)
            both = Add(a_d, b_d)
            y = QuantizeLinear(both, s, z)
        }""")
    assert not ShiftByConvolution()(model).modified

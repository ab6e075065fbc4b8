import numpy as np

from sqsam_deploy.runtimes.onnx.passes.graph import array_of
from sqsam_deploy.runtimes.onnx.passes.integer_bias import QuantizeBiases
from tests.runtimes.onnx.passes.graphs import (
    outputs,
    rewritten,
    steps_apart,
    tiny_feeds,
    tiny_graph,
)


def test_a_bias_moves_by_half_a_step_of_the_accumulator_at_most() -> None:
    before, after = tiny_graph().graph, rewritten(tiny_graph(), QuantizeBiases()).graph
    convolutions = [node for node in after if node.op_type == "Conv"]
    assert convolutions
    for node in convolutions:
        x, weight, bias = (value.producer() for value in node.inputs)
        step = array_of(x.inputs[1]) * array_of(weight.inputs[1])
        integers, steps = array_of(bias.inputs[0]), array_of(bias.inputs[1])
        assert integers.dtype == np.int32
        np.testing.assert_array_equal(steps, step)
        original = array_of(before.initializers[bias.inputs[0].name.removesuffix("_int32")])
        assert np.abs(integers * np.float64(step) - original).max() <= 0.51 * step.max()


def test_the_outputs_hardly_move() -> None:
    before, after = tiny_graph(), rewritten(tiny_graph(), QuantizeBiases())
    assert steps_apart(outputs(before, tiny_feeds()), outputs(after, tiny_feeds())) < 0.01

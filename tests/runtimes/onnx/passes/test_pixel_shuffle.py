from sqsam_deploy.runtimes.onnx.passes.depthwise_shift import shift_by_convolution
from sqsam_deploy.runtimes.onnx.passes.pixel_shuffle import move_shuffles_channels_last
from sqsam_deploy.runtimes.onnx.passes.quantized_moves import keep_moves_quantized
from sqsam_deploy.runtimes.onnx.passes.saturating_relu import drop_saturating_relu
from tests.runtimes.onnx.passes.graphs import (
    outputs,
    rewritten,
    same,
    shuffled_feeds,
    shuffled_graph,
)


def test_a_shuffle_moves_rows_of_channels() -> None:
    ready = (drop_saturating_relu, keep_moves_quantized, shift_by_convolution)
    before, after = rewritten(shuffled_graph(), *ready), rewritten(shuffled_graph(), *ready)
    assert move_shuffles_channels_last(after) == 1
    widest = [n for n in rewritten(after).graph if n.op_type == "Transpose"]
    # Two columns of 8 channels stay together in the only transpose that does not move an axis to
    # or from the end.
    assert [list(n.inputs[0].shape.numpy()) for n in widest][1] == [8, 8, 2, 16]
    assert same(outputs(before, shuffled_feeds()), outputs(after, shuffled_feeds()))

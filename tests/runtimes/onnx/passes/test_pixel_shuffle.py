from sqsam_deploy.runtimes.onnx.passes.depthwise_shift import ShiftByConvolution
from sqsam_deploy.runtimes.onnx.passes.pixel_shuffle import MoveShufflesChannelsLast
from sqsam_deploy.runtimes.onnx.passes.quantized_moves import KeepMovesQuantized
from sqsam_deploy.runtimes.onnx.passes.saturating_relu import DropSaturatingRelu
from tests.runtimes.onnx.passes.graphs import (
    outputs,
    rewritten,
    same,
    shuffled_feeds,
    shuffled_graph,
)


def test_a_shuffle_moves_rows_of_channels() -> None:
    ready = (DropSaturatingRelu(), KeepMovesQuantized(), ShiftByConvolution())
    before, after = rewritten(shuffled_graph(), *ready), rewritten(shuffled_graph(), *ready)
    assert MoveShufflesChannelsLast()(after).modified
    assert same(outputs(before, shuffled_feeds()), outputs(after, shuffled_feeds()))

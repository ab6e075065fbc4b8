from sqsam_deploy.runtimes.onnx.passes.aligned_channels import align_channels
from sqsam_deploy.runtimes.onnx.passes.quantized_moves import keep_moves_quantized
from sqsam_deploy.runtimes.onnx.passes.saturating_relu import drop_saturating_relu
from tests.runtimes.onnx.passes.graphs import (
    outputs,
    rewritten,
    same,
    shuffled_feeds,
    shuffled_graph,
    tiny_graph,
)

_READY = (drop_saturating_relu, keep_moves_quantized)


def test_thirteen_channels_become_sixteen_up_to_the_convolutions_that_read_them() -> None:
    before = rewritten(shuffled_graph(), *_READY)
    after = rewritten(shuffled_graph(), *_READY, align_channels)
    assert _channels(before) == [(3, 13), (13, 16), (16, 28), (20, 4)]
    # The last one reads the padded skip, 16, and the up-sampled map, 7.
    assert _channels(after) == [(3, 16), (16, 16), (16, 28), (23, 4)]
    assert same(outputs(before, shuffled_feeds()), outputs(after, shuffled_feeds()))


def test_maps_that_something_else_reads_are_left_alone() -> None:
    model = rewritten(tiny_graph(), *_READY)
    assert align_channels(model) == 0


def _channels(model: object) -> list[tuple[int, int]]:
    """(in, out) of each convolution."""
    nodes = [node for node in model.graph if node.op_type == "Conv"]  # type: ignore[attr-defined]
    return [(node.inputs[0].shape[1], node.outputs[0].shape[1]) for node in nodes]

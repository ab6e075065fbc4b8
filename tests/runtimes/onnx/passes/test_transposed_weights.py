import numpy as np

from sqsam_deploy.runtimes.onnx.passes.transposed_weights import TransposeWeights
from tests.runtimes.onnx.passes.graphs import (
    operators,
    outputs,
    rewritten,
    same,
    tiny_feeds,
    tiny_graph,
)


def test_linear_weights_need_no_transpose_and_the_function_stays() -> None:
    before, after = tiny_graph(), rewritten(tiny_graph(), TransposeWeights())
    weights = [name for name in after.graph.initializers if name.endswith("_transposed")]
    assert len(weights) == operators(before)["Transpose"] - operators(after)["Transpose"] > 0
    assert same(outputs(before, tiny_feeds()), outputs(after, tiny_feeds()))


def test_a_weight_is_stored_once() -> None:
    before, after = tiny_graph().graph, rewritten(tiny_graph(), TransposeWeights()).graph
    assert _bytes(before) == _bytes(after)


def _bytes(graph: object) -> int:
    return sum(np.size(v.const_value) for v in graph.initializers.values())  # type: ignore[attr-defined]

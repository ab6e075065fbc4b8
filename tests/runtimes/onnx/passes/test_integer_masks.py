from pathlib import Path

from sqsam_deploy.runtimes.onnx.passes import INT8_PASSES
from sqsam_deploy.runtimes.onnx.passes.integer_masks import MultiplyMasksAsIntegers
from sqsam_deploy.runtimes.onnx.passes.quantized_moves import KeepMovesQuantized
from tests.runtimes.onnx.passes.graphs import (
    optimized,
    outputs,
    rewritten,
    steps_apart,
    tiny_feeds,
    tiny_graph,
)


def test_onnx_runtime_multiplies_the_masks_on_integers(tmp_path: Path) -> None:
    others = [each for each in INT8_PASSES if not isinstance(each, MultiplyMasksAsIntegers)]
    before = optimized(rewritten(tiny_graph(), *others), str(tmp_path))
    after = optimized(rewritten(tiny_graph(), *INT8_PASSES), str(tmp_path))
    assert after["MatMulIntegerToFloat"] == before["MatMulIntegerToFloat"] + 1


def test_the_masks_differ_by_the_order_of_a_sum_at_most() -> None:
    before = rewritten(tiny_graph(), KeepMovesQuantized())
    after = rewritten(tiny_graph(), KeepMovesQuantized(), MultiplyMasksAsIntegers())
    assert steps_apart(outputs(before, tiny_feeds()), outputs(after, tiny_feeds())) < 1e-6

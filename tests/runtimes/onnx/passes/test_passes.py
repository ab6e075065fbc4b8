"""All passes together."""

from pathlib import Path

import onnx_ir as ir
import pytest

from sqsam_deploy.runtimes.onnx.passes import INT8_PASSES, INT8_PIXEL_PASSES
from tests.runtimes.onnx.passes.graphs import (
    optimized,
    rewritten,
    shuffled_graph,
    tiny_graph,
)


@pytest.mark.parametrize("passes", [INT8_PASSES, INT8_PIXEL_PASSES], ids=["planes", "pixels"])
def test_onnx_runtime_executes_every_convolution_on_integers(
    passes: tuple[ir.passes.InPlacePass, ...], tmp_path: Path
) -> None:
    for graph in (tiny_graph, shuffled_graph):
        executed = optimized(rewritten(graph(), *passes), str(tmp_path))
        assert executed["QLinearConv"]
        assert not {"Conv", "FusedConv", "ConvTranspose", "MaxPool"} & set(executed)


def test_without_them_it_does_not(tmp_path: Path) -> None:
    executed = optimized(tiny_graph(), str(tmp_path))
    assert executed["ConvTranspose"]

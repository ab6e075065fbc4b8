"""All passes together."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import onnx_ir as ir
import pytest
from onnx_ir.serde import serialize_model

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


def test_the_same_graph_gives_the_same_bytes_whatever_the_hash_seed(tmp_path: Path) -> None:
    """Of the passes; `test_chain.py` holds it of a whole export."""
    graph = tmp_path / "graph.onnx"
    graph.write_bytes(serialize_model(tiny_graph()).SerializeToString())
    script = (
        "import hashlib, sys\n"
        "from tests.runtimes.onnx.passes.test_passes import serialized\n"
        "print(hashlib.sha256(serialized(sys.argv[1])).hexdigest())\n"
    )
    environment = {**os.environ, "PYTHONHASHSEED": "1"}
    command = [sys.executable, "-c", script, str(graph)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.split()[-1] == hashlib.sha256(serialized(str(graph))).hexdigest()


def serialized(graph: str) -> bytes:
    """The rewritten graph as it would be written."""
    return serialize_model(rewritten(ir.load(graph), *INT8_PASSES)).SerializeToString(
        deterministic=True
    )

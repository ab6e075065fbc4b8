"""Lowered with and without joining moves: the same numbers, fewer transpositions."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch.export import ExportedProgram

from sqsam_deploy._internal.upstream.executorch import (
    changed_graphs_only,
    no_search_for_bilinear,
    rewritten_delegates,
)
from sqsam_deploy._internal.upstream.torch import lean_tracing
from sqsam_deploy.quantization import quantize_program
from sqsam_deploy.runtimes.executorch.passes import optimize
from tests.tiny_network import FRAGMENT_SAMPLE, fragment_program


@contextmanager
def _before_writing(change: object) -> Iterator[list[str]]:
    """Applies `change` to each XNNPACK graph, and yields the names of the operators written."""
    names: list[str] = []

    def rewrite(graph: Any) -> None:
        if callable(change):
            change(graph)
        names.extend(type(node.xnode_union).__name__ for node in graph.xnodes)

    with rewritten_delegates(rewrite):
        yield names


def _lowered(exported: ExportedProgram, change: object) -> tuple[list[torch.Tensor], list[str]]:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower
    from executorch.runtime import Runtime

    with (
        lean_tracing(),
        changed_graphs_only(),
        no_search_for_bilinear(),
        _before_writing(change) as names,
    ):
        lowered = to_edge_transform_and_lower(exported, partitioner=[XnnpackPartitioner()])
    # Only the program keeps the bytes that its methods read.
    program = Runtime.get().load_program(lowered.to_executorch().buffer)
    method = program.load_method("forward")
    return [output.clone() for output in method.execute(list(FRAGMENT_SAMPLE))], names


@pytest.fixture(scope="module")
def program() -> ExportedProgram:
    quantized = quantize_program(fragment_program(), [FRAGMENT_SAMPLE])
    return optimize(quantized.program, interleaved=False)


def test_joining_changes_no_number_and_leaves_fewer_moves(program: ExportedProgram) -> None:
    from sqsam_deploy.runtimes.executorch.xnnpack import join_moves

    expected, before = _lowered(program, None)
    actual, after = _lowered(program, join_moves)
    for a, b in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)
    assert after.count("XNNStaticTranspose") <= 0.6 * before.count("XNNStaticTranspose")
    assert [n for n in after if "Conv2d" in n] == [n for n in before if "Conv2d" in n]

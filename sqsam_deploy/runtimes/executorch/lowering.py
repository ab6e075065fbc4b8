"""From the exported program to a .pte file through the XNNPACK delegate."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from torch.export import ExportedProgram

from sqsam_deploy._internal.atomic import atomic_write
from sqsam_deploy._internal.upstream.torch import lean_tracing
from sqsam_deploy.artifact.metadata import METADATA_KEY, ArtifactMetadata

if TYPE_CHECKING:
    from executorch.exir import EdgeProgramManager


def lower(program: ExportedProgram, metadata: ArtifactMetadata, path: Path) -> None:
    """Writes a program as one .pte file with its weights inside.

    Args:
        program: From `sqsam_deploy.quantization`.
        metadata: Stored in the file as a method that takes nothing and returns the JSON.
        path: Where to write.
    """
    from sqsam_deploy.runtimes.executorch.passes import optimize
    from sqsam_deploy.runtimes.executorch.retracing import changed_graphs_only

    with _quiet(), lean_tracing(), changed_graphs_only():
        interleaved = any(spec.layout == "NHWC" for spec in metadata.inputs)
        optimized = optimize(program, interleaved=interleaved)
        content = delegate(optimized, metadata).to_executorch().buffer
    atomic_write(path, content)


def delegate(program: ExportedProgram, metadata: ArtifactMetadata) -> "EdgeProgramManager":
    """The program with everything XNNPACK takes inside its delegate."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    from sqsam_deploy.runtimes.executorch.xnnpack import rewritten_delegates

    with rewritten_delegates():
        return to_edge_transform_and_lower(
            program,
            partitioner=[XnnpackPartitioner()],
            constant_methods={METADATA_KEY: metadata.model_dump_json()},
        )


def undelegated_operators(lowered: "EdgeProgramManager") -> tuple[str, ...]:
    """Names of the operators that run outside XNNPACK, in order."""
    return tuple(
        str(node.target.__name__)
        for node in lowered.exported_program().graph.nodes
        if node.op == "call_function"
        and getattr(node.target, "__name__", "") not in ("getitem", "executorch_call_delegate")
    )


def delegated_subgraphs(lowered: "EdgeProgramManager") -> int:
    """How many pieces XNNPACK runs; every cut costs a copy."""
    return sum(
        getattr(node.target, "__name__", "") == "executorch_call_delegate"
        for node in lowered.exported_program().graph.nodes
    )


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Keeps ExecuTorch's progress notes and deprecation warnings off the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)

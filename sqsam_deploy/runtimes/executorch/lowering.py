"""From the exported program to a .pte file through the XNNPACK delegate."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from torch.export import ExportedProgram

from sqsam_deploy._internal.atomic import atomic_write
from sqsam_deploy._internal.upstream.executorch import (
    changed_graphs_only,
    computed_once,
    decomposed_once,
    half_weights,
    load_compiler,
    no_search_for_bilinear,
    rewritten_delegates,
)
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

    load_compiler()
    # `_quiet` is the innermost: the patches around it warn where they do not work.
    with (
        lean_tracing(),
        changed_graphs_only(),
        computed_once(),
        decomposed_once(),
        no_search_for_bilinear(),
        half_weights(),
        _moves_joined(),
        _quiet(),
    ):
        interleaved = any(spec.layout == "NHWC" for spec in metadata.inputs)
        optimized = optimize(program, interleaved=interleaved)
        content = delegate(optimized, metadata).to_executorch().buffer
    atomic_write(path, content)


def delegate(program: ExportedProgram, metadata: ArtifactMetadata) -> "EdgeProgramManager":
    """The program with everything XNNPACK takes inside its delegate."""
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    return to_edge_transform_and_lower(
        program,
        partitioner=[XnnpackPartitioner()],
        constant_methods={METADATA_KEY: metadata.model_dump_json()},
    )


def _moves_joined() -> AbstractContextManager[None]:
    from sqsam_deploy.runtimes.executorch.xnnpack import join_moves

    return rewritten_delegates(join_moves)


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

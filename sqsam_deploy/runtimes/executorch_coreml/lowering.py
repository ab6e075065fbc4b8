"""An exported program to a `.pte` with the Core ML delegate."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch.export import ExportedProgram

from sqsam_deploy._internal.upstream.coremltools import (
    coremltools,
    quiet_conversion,
    restarted_names,
)
from sqsam_deploy.artifact.metadata import DEFAULT_DEPLOYMENT_TARGET, METADATA_KEY, ArtifactMetadata
from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.runtimes import executorch_coreml
from sqsam_deploy.runtimes.coreml.mask_product import masks_by_rows
from sqsam_deploy.runtimes.executorch_coreml.blob import reproducible

if TYPE_CHECKING:
    from executorch.exir import EdgeProgramManager
    from executorch.exir.lowered_backend_module import LoweredBackendModule


def lower(program: ExportedProgram, metadata: ArtifactMetadata, path: Path) -> None:
    """Writes a `.pte` whose whole network is one delegate; same inputs, same bytes.

    Args:
        program: Float for "fp32" and "fp16", quantized for "int8".
        metadata: travels inside as a constant method.
        path: The file to make or replace.

    Raises:
        ArtifactError: Something of the network stayed outside the delegate.
    """
    edge = _delegate(program, metadata)
    _make_reproducible(edge, _only_delegate(edge, path))
    staging = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with staging.open("wb") as file:
            edge.to_executorch().write_to_file(file)
            file.flush()
            os.fsync(file.fileno())
        staging.replace(path)
    finally:
        staging.unlink(missing_ok=True)


def _delegate(program: ExportedProgram, metadata: ArtifactMetadata) -> "EdgeProgramManager":
    coremltools()
    from executorch.backends.apple.coreml.partition import CoreMLPartitioner
    from executorch.exir import to_edge_transform_and_lower

    with quiet_conversion(), restarted_names():
        return to_edge_transform_and_lower(
            masks_by_rows(program),
            partitioner=[CoreMLPartitioner(compile_specs=_compile_specs(metadata))],
            constant_methods={METADATA_KEY: metadata.model_dump_json()},
        )


def _compile_specs(metadata: ArtifactMetadata) -> list[Any]:
    ct = coremltools()
    from executorch.backends.apple.coreml.compiler import CoreMLBackend

    options = executorch_coreml.RUNTIME.chosen_options(metadata.precision, metadata.options)
    specs: list[Any] = CoreMLBackend.generate_compile_specs(
        compute_unit=ct.ComputeUnit[options["compute_units"].upper()],
        minimum_deployment_target=ct.target[
            metadata.deployment_target or DEFAULT_DEPLOYMENT_TARGET
        ],
        compute_precision=ct.precision.FLOAT32
        if metadata.precision == "fp32"
        else ct.precision.FLOAT16,
    )
    return specs


def _make_reproducible(edge: "EdgeProgramManager", delegate: "LoweredBackendModule") -> None:
    """Puts a delegate with reproducible bytes in the place of the program's one."""
    from executorch.exir.lowered_backend_module import LoweredBackendModule

    replacement = LoweredBackendModule(
        delegate.original_module,
        delegate.backend_id,
        reproducible(delegate.processed_bytes),
        delegate.compile_specs,
        delegate.named_data_store_output,
    )
    replacement.meta = delegate.meta
    program = edge.exported_program().graph_module
    name = next(name for name, child in program.named_children() if child is delegate)
    program.set_submodule(name, replacement)


def _only_delegate(edge: "EdgeProgramManager", path: Path) -> "LoweredBackendModule":
    """The delegate, having checked that it is all there is."""
    from executorch.exir.lowered_backend_module import get_lowered_backend_modules

    graph_module = edge.exported_program().graph_module
    delegates = get_lowered_backend_modules(graph_module)
    called = [str(n.target) for n in graph_module.graph.nodes if n.op == "call_function"]
    outside = sorted({name for name in called if not _is_call(name)})
    if len(delegates) != 1 or outside:
        raise ArtifactError(
            f"{path.name}: {len(delegates)} Core ML delegates and the operators "
            f"{', '.join(outside) or 'none'} outside, where one delegate must hold everything"
        )
    return delegates[0]


def _is_call(target: str) -> bool:
    """Whether a node calls the delegate or picks one of its results."""
    return "executorch_call_delegate" in target or "getitem" in target

"""From the exported program to an .onnx file."""

import contextlib
import io
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch.export import ExportedProgram

from sqsam_deploy._internal.atomic import atomic_write
from sqsam_deploy._internal.upstream.onnxscript import refused_by_operator
from sqsam_deploy.artifact.metadata import METADATA_KEY, PIXELS, ArtifactMetadata
from sqsam_deploy.version import __version__

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto
    from onnx_ir import Model
    from onnx_ir.passes import InPlacePass

#: ONNX operator set of every file but the half-precision ones.
OPSET = 18
#: Theirs: the operators of these graphs are the same in both sets, but for the axes of means; and
#: from 18 on `Relu` has a definition by others, and ONNX Runtime, which has no half-precision
#: `Relu` on x86, would compute that one: `Max`, a third of the time. Now it computes in float32,
#: in one with the convolution.
HALF_OPSET = 17
#: File format of ONNX 1.13, which brought that operator set; torch writes a later one, of which
#: only the stripped metadata of nodes is used, and which older runtimes refuse.
IR_VERSION = 8
#: Key that records with which of its optimizations ONNX Runtime was compared.
OPTIMIZATION_KEY = "onnxruntime.graph_optimization_level"


def lower(program: ExportedProgram, metadata: ArtifactMetadata, path: Path) -> None:
    """Writes a program as one ONNX file with its weights inside.

    Quantize and dequantize operators become QuantizeLinear and DequantizeLinear with the same
    scales and the same int8 weights; `sqsam_deploy.runtimes.onnx.passes` then rewrites int8 graphs
    to what ONNX Runtime has integer kernels for.

    Args:
        program: From `sqsam_deploy.quantization`.
        metadata: Names the inputs and outputs, in the program's order; stored in the file.
        path: Where to write.
    """
    import onnx
    from onnx_ir.serde import serialize_model

    from sqsam_deploy.runtimes.onnx.passes import NameByModules, in_sequence

    graph = translate(program, metadata)
    if selected := _passes(metadata):
        in_sequence(*selected)(graph)
    NameByModules()(graph)
    if metadata.precision == "fp16":
        graph.opset_imports[""] = HALF_OPSET
    model = serialize_model(graph)
    strip_provenance(model)
    onnx.helper.set_model_props(
        model, {METADATA_KEY: metadata.model_dump_json(), OPTIMIZATION_KEY: "all"}
    )
    model.ir_version = IR_VERSION
    model.producer_name, model.producer_version = "sqsam-deploy", __version__
    onnx.checker.check_model(model, full_check=True)
    # Deterministic serialization: the same program gives the same bytes.
    atomic_write(path, model.SerializeToString(deterministic=True))


def translate(program: ExportedProgram, metadata: ArtifactMetadata) -> "Model":
    """The program operator by operator, before any pass.

    Args:
        program: From `sqsam_deploy.quantization`.
        metadata: Names the inputs and outputs, in the program's order.
    """
    # The patch is the outermost: it warns where it does not work.
    with (
        refused_by_operator(),
        warnings.catch_warnings(),
        contextlib.redirect_stdout(io.StringIO()),
    ):
        warnings.simplefilter("ignore")
        exported = torch.onnx.export(
            program,
            dynamo=True,
            opset_version=OPSET,
            input_names=_program_inputs(program, metadata),
            output_names=[spec.name for spec in metadata.outputs],
            external_data=False,
            verbose=False,
        )
    assert exported is not None
    return exported.model


def _passes(metadata: ArtifactMetadata) -> "tuple[InPlacePass, ...]":
    """The rewrites for a precision; none was found that makes float graphs faster."""
    from sqsam_deploy.runtimes.onnx import passes

    if metadata.precision == "fp16":
        return passes.HALF_PASSES
    if metadata.precision != "int8":
        return ()
    takes_pixels = any(spec.name == PIXELS for spec in metadata.inputs)
    return passes.INT8_PIXEL_PASSES if takes_pixels else passes.INT8_PASSES


def _program_inputs(program: ExportedProgram, metadata: ArtifactMetadata) -> list[str]:
    """Names of the program's inputs: the file's, but for those that a pass joins into one."""
    from sqsam_deploy.runtimes.onnx.passes import JOINED

    names = [spec.name for spec in metadata.inputs]
    if PIXELS not in names:
        return names
    joined = len(program.graph_signature.user_inputs) - len(names) + 1
    return [*JOINED[:joined], *(name for name in names if name != PIXELS)]


def strip_provenance(model: "ModelProto") -> None:
    """Removes stack traces, which hold local paths, and documentation strings, in place.

    torch's exporter writes both into every node and value.
    """
    del model.metadata_props[:]
    model.doc_string = ""
    _strip_graph(model.graph)
    for function in model.functions:
        function.doc_string = ""
        del function.metadata_props[:]
        for node in function.node:
            node.doc_string = ""
            del node.metadata_props[:]


def _strip_graph(graph: "GraphProto") -> None:
    entries = (graph.node, graph.input, graph.output, graph.value_info, graph.initializer)
    graph.doc_string = ""
    del graph.metadata_props[:]
    for group in entries:
        for entry in group:
            entry.doc_string = ""
            del entry.metadata_props[:]

"""Bytes of a `.pte`: the program, its delegates, and the weights in named segments."""

from collections import Counter
from pathlib import Path

from sqsam_deploy.artifact.metadata import METADATA_KEY
from sqsam_deploy.export_report.size_breakdown.coreml import package_parts
from sqsam_deploy.export_report.size_breakdown.parts import Part, without_empty
from sqsam_deploy.export_report.size_breakdown.pte import PteFile, open_pte
from sqsam_deploy.export_report.size_breakdown.xnnpack import XnnpackGraph, parse_delegate

_XNNPACK = "XnnpackBackend"


def executorch_parts(path: Path) -> tuple[Part, ...]:
    """Parts of a `.pte` with XNNPACK's or Core ML's delegate, or both.

    Raises:
        ArtifactError: The file is damaged.
    """
    file = open_pte(path)
    parts = [*_program_parts(file), *_constant_parts(file)]
    graphs = []
    for backend, index in file.delegates():
        if backend == _XNNPACK:
            graph = parse_delegate(file.segment(index))
            graphs.append(graph)
            parts += _xnnpack_parts(graph)
        else:
            parts += _core_ml_parts(file.segment(index))
    parts += _named_parts(file, graphs)
    rest = len(file.content) - sum(part.bytes for part in parts)
    return without_empty(*parts, Part("alignment", "between segments", rest))


def _program_parts(file: PteFile) -> list[Part]:
    metadata = sum(
        len(value.val.string_val.encode())
        for plan in file.program.execution_plan
        if plan.name == METADATA_KEY
        for value in plan.values
    )
    return [
        Part("program", "ExecuTorch program (flatbuffer)", file.program_size - metadata),
        Part("metadata", f"'{METADATA_KEY}' metadata (JSON)", metadata),
    ]


def _constant_parts(file: PteFile) -> list[Part]:
    """Constants that the program hands to its delegates, in a segment of their own."""
    place = file.program.constant_segment
    if place is None or not place.offsets or not file.program.segments:
        return []
    size = file.program.segments[place.segment_index].size
    return [Part("weights", "constants passed to the delegates", size)]


def _xnnpack_parts(graph: XnnpackGraph) -> list[Part]:
    return [
        Part("program", "XNNPACK graph (flatbuffer)", graph.flatbuffer_size),
        Part("weights", "constants inside the delegate", graph.inline_size),
    ]


def _core_ml_parts(blob: bytes) -> list[Part]:
    from sqsam_deploy.runtimes.executorch_coreml.blob import unpacked

    with unpacked(blob) as model:
        parts = package_parts(model.package)
    rest = len(blob) - sum(part.bytes for part in parts)
    return [*parts, Part("metadata", "directory of the Core ML delegate", rest)]


def _named_parts(file: PteFile, graphs: list[XnnpackGraph]) -> list[Part]:
    """Segments that delegates find by name; equal ones are stored once."""
    scales = set[str]().union(*(graph.scale_keys() for graph in graphs))
    types = {key: name for graph in graphs for key, name in graph.weight_types().items()}
    names = {entry.segment_index: entry.key for entry in file.program.named_data or ()}
    sizes: Counter[str] = Counter()
    for index, key in names.items():
        kind = "scales" if key in scales and key not in types else types.get(key, "unknown type")
        sizes[kind] += file.program.segments[index].size
    scale_bytes = sizes.pop("scales", 0)
    weights = [Part("weights", f"weights, {name}", size) for name, size in sorted(sizes.items())]
    return [*weights, Part("scales", "scales of the weights, float32", scale_bytes)]

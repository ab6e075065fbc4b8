"""A `.pte`, looked into: the program, its delegates, and the weights in named segments."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from sqsam_deploy._internal.upstream.patches import warn_once
from sqsam_deploy.artifact.metadata import METADATA_KEY
from sqsam_deploy.errors import MissingDependencyError
from sqsam_deploy.runtimes.executorch.delegate import Arithmetic, XnnpackGraph, parse_delegate
from sqsam_deploy.runtimes.executorch.pte import PteFile, open_pte
from sqsam_deploy.runtimes.inspection import (
    Inspection,
    OperatorCount,
    OperatorGroup,
    Part,
    count_operators,
    without_empty,
)

_XNNPACK = "XnnpackBackend"
_GROUPS: dict[Arithmetic, str] = {
    "int8": "inside, int8",
    "float": "inside, float",
    "conversion": "conversions",
}


#: Raised where a release of ExecuTorch lacks what its files are read with.
NO_READER = (MissingDependencyError, ImportError, FileNotFoundError)


def readable_pte(path: Path) -> PteFile | None:
    """The opened file; None where this release of ExecuTorch cannot take files apart.

    Raises:
        ArtifactError: The file is damaged.
    """
    try:
        return open_pte(path)
    except NO_READER:
        return None


def inspect_pte(path: Path) -> Inspection:
    """A `.pte` with XNNPACK's delegate, as it will run.

    "outside" is run by ExecuTorch's own kernels, one at a time, between calls of the delegate.

    Raises:
        ArtifactError: The file is damaged.
    """
    try:
        return _inspect(path)
    except NO_READER as error:
        return whole_file(path, error)


def whole_file(path: Path, reason: Exception) -> Inspection:
    """The file as one part, with a warning that says why."""
    warn_once(f"{path.name} is not taken apart: {reason}")
    return Inspection((Part("program", "not taken apart", path.stat().st_size),), ())


def _inspect(path: Path) -> Inspection:
    file = open_pte(path)
    calls, outside = _instructions(file)
    graphs = [parse_delegate(blob) for backend, blob in file.blobs() if backend == _XNNPACK]
    return Inspection(
        parts=pte_parts(file, _unknown_parts),
        operators=(
            OperatorGroup("outside the delegate", outside, is_costly=True),
            OperatorGroup("calls of the delegate", (OperatorCount(_XNNPACK, calls),)),
            *(OperatorGroup(title, _of(graphs, wanted)) for wanted, title in _GROUPS.items()),
        ),
    )


def _instructions(file: PteFile) -> tuple[int, tuple[OperatorCount, ...]]:
    names = [file.plan.operators[call.op_index].name for call in file.calls("KernelCall")]
    return len(file.calls("DelegateCall")), count_operators(names)


def _of(graphs: list[XnnpackGraph], wanted: Arithmetic) -> tuple[OperatorCount, ...]:
    operators = (operator for graph in graphs for operator in graph.operators())
    return count_operators(name for name, arithmetic in operators if arithmetic == wanted)


def _unknown_parts(blob: bytes) -> list[Part]:
    return [Part("program", "another delegate", len(blob))]


def pte_parts(file: PteFile, other_parts: Callable[[bytes], list[Part]]) -> tuple[Part, ...]:
    """Every byte of a `.pte`.

    Args:
        file: From `open_pte`.
        other_parts: Takes a delegate that is not XNNPACK's apart.
    """
    parts = [*_program_parts(file), *_constant_parts(file)]
    graphs = []
    for backend, blob in file.blobs():
        if backend == _XNNPACK:
            graphs.append(parse_delegate(blob))
            parts += _xnnpack_parts(graphs[-1])
        else:
            parts += other_parts(blob)
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

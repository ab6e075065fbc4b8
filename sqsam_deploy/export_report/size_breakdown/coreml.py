"""Bytes of an `.mlpackage`: `weight.bin`, the model specification, the package's manifest."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqsam_deploy.artifact.files import files_in
from sqsam_deploy.export_report.size_breakdown.parts import Kind, Part, without_empty
from sqsam_deploy.runtimes.coreml.package import Package, read_package, stored_values

#: Arguments of MIL's `constexpr_*` operators that are no weights.
_SCALE_ARGUMENTS = ("scale", "zero_point", "offset")


def coreml_parts(path: Path) -> tuple[Part, ...]:
    """Parts of a package.

    Raises:
        ArtifactError: The package is damaged.
    """
    parts = package_parts(read_package(path))
    size = sum(file.stat().st_size for file in files_in(path))
    rest = size - sum(part.bytes for part in parts)
    return without_empty(*parts, Part("metadata", "Manifest.json", rest))


def package_parts(package: Package) -> list[Part]:
    """Parts of the weight file and of the model specification."""
    model = package.model
    total = model.ByteSize()
    description = model.description.ByteSize()
    operations = sum(item.ByteSize() for item in mil_operations(model))
    return [
        *_weight_file_parts(package),
        Part("program", "operations of the model specification", operations),
        Part("program", "framing of the model specification", total - description - operations),
        Part("metadata", "description of the model (JSON, inputs, outputs)", description),
    ]


def mil_operations(model: Any) -> Iterator[Any]:
    """Every operation of an ML Program, constants included."""
    for function in model.mlProgram.functions.values():
        for block in function.block_specializations.values():
            yield from block.operations


def _weight_file_parts(package: Package) -> list[Part]:
    sizes: Counter[tuple[Kind, str]] = Counter()
    for stored in stored_values(package.model):
        kind: Kind = "scales" if stored.argument in _SCALE_ARGUMENTS else "weights"
        sizes[kind, stored.element_type] += stored.bytes
    total = sum(file.stat().st_size for file in files_in(package.weights_dir))
    rest = total - sum(sizes.values())
    named = [
        Part(kind, f"weight.bin, {'scales and zero points, ' * (kind == 'scales')}{element}", size)
        for (kind, element), size in sorted(sizes.items(), reverse=True)
    ]
    return [*named, Part("alignment", "weight.bin, headers and alignment of each tensor", rest)]

"""An `.mlpackage`, looked into: `weight.bin`, the model specification, the operations."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from sqsam_deploy.artifact.files import files_in
from sqsam_deploy.runtimes.coreml.package import Package, read_package, stored_values
from sqsam_deploy.runtimes.inspection import (
    Inspection,
    Kind,
    OperatorGroup,
    Part,
    count_operators,
    without_empty,
)

#: Arguments of MIL's `constexpr_*` operators that are no weights.
_SCALE_ARGUMENTS = ("scale", "zero_point", "offset", "lut")
_NAMES: dict[Kind, str] = {"scales": "scales, zero points and palettes, "}
_QUANTIZING, _CAST = ("quantize", "dequantize"), "cast"


def inspect_package(path: Path) -> Inspection:
    """A package; which processor runs its operations is decided on the device.

    Raises:
        ArtifactError: The package is damaged.
    """
    package = read_package(path)
    parts = package_parts(package)
    size = sum(file.stat().st_size for file in files_in(path))
    rest = size - sum(part.bytes for part in parts)
    return Inspection(
        without_empty(*parts, Part("metadata", "Manifest.json", rest)), package_operators(package)
    )


def package_operators(package: Package) -> tuple[OperatorGroup, ...]:
    """Operations that compute or move something, and the others by what they are for."""
    kinds = [item.type for item in mil_operations(package.model) if item.type != "const"]
    weights = [kind for kind in kinds if kind.startswith("constexpr_")]
    others = (*_QUANTIZING, _CAST, *weights)
    return (
        OperatorGroup("operations", count_operators(k for k in kinds if k not in others)),
        OperatorGroup("quantizing", count_operators(k for k in kinds if k in _QUANTIZING)),
        OperatorGroup("casts", count_operators(k for k in kinds if k == _CAST)),
        OperatorGroup("compressed weights", count_operators(weights)),
    )


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
        Part(kind, f"weight.bin, {_NAMES.get(kind, '')}{element}", size)
        for (kind, element), size in sorted(sizes.items(), reverse=True)
    ]
    return [*named, Part("alignment", "weight.bin, headers and alignment of each tensor", rest)]

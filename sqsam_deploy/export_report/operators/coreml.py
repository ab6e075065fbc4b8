"""A Core ML package: the operations of its program.

Which processor runs them is decided on the device, so nothing is said about that here.
"""

from dataclasses import dataclass
from pathlib import Path

from sqsam_deploy.export_report.operators.counts import OperatorCount, counted
from sqsam_deploy.export_report.size_breakdown.coreml import mil_operations
from sqsam_deploy.export_report.size_breakdown.pte import open_pte
from sqsam_deploy.runtimes.coreml.package import Package, read_package

_QUANTIZING, _CAST = ("quantize", "dequantize"), "cast"


@dataclass(frozen=True)
class MilOperations:
    """The operations of an ML Program; constants are none.

    Attributes:
        compressed_weights: Weights that are stored in int8 (`constexpr_affine_dequantize`).
        quantizing: `quantize` and `dequantize`.
        casts: `cast`.
        operations: All that compute or move something.
    """

    compressed_weights: int
    quantizing: int
    casts: int
    operations: tuple[OperatorCount, ...]


def mil_operations_of(path: Path) -> MilOperations:
    """Operations of an `.mlpackage`, or of the one inside a `.pte` with Core ML's delegate.

    Raises:
        ArtifactError: The artifact is damaged.
    """
    if path.suffix == ".mlpackage":
        return _sorted(read_package(path))
    from sqsam_deploy.runtimes.executorch_coreml.blob import unpacked

    file = open_pte(path)
    ((_, index),) = file.delegates()
    with unpacked(file.segment(index)) as model:
        return _sorted(model.package)


def _sorted(package: Package) -> MilOperations:
    kinds = [item.type for item in mil_operations(package.model) if item.type != "const"]
    weights = [kind for kind in kinds if kind.startswith("constexpr_")]
    return MilOperations(
        compressed_weights=len(weights),
        quantizing=sum(kind in _QUANTIZING for kind in kinds),
        casts=kinds.count(_CAST),
        operations=counted(k for k in kinds if k not in (*_QUANTIZING, _CAST, *weights)),
    )

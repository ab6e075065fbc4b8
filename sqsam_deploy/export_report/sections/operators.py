"""Which operators run where, artifact by artifact."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqsam_deploy.artifact.manifest import Manifest
from sqsam_deploy.export_report.operators.coreml import MilOperations, mil_operations_of
from sqsam_deploy.export_report.operators.counts import OperatorCount
from sqsam_deploy.export_report.operators.executorch import DelegatedOperators, delegated_operators
from sqsam_deploy.export_report.operators.onnx import RunOperators
from sqsam_deploy.export_report.runs import ProfiledRun


@dataclass(frozen=True)
class OperatorsByRuntime:
    """Operators by artifact name, apart for each runtime, because each is known another way.

    Attributes:
        executorch: Read from the files.
        onnx: Seen while ONNX Runtime ran.
        coreml: Read from the files; what runs them only the device knows.
    """

    executorch: dict[str, DelegatedOperators]
    onnx: dict[str, RunOperators]
    coreml: dict[str, MilOperations]

    @property
    def outside(self) -> int:
        """Operators of all `.pte` files that run outside XNNPACK."""
        found = self.executorch.values()
        return sum(item.count for operators in found for item in operators.outside)

    @property
    def coreml_kinds(self) -> list[tuple[list[str], tuple[OperatorCount, ...]]]:
        """Operations by kind, for all the artifacts that have the same ones."""
        found: dict[tuple[OperatorCount, ...], list[str]] = {}
        for name, operators in self.coreml.items():
            found.setdefault(operators.operations, []).append(name)
        return [(names, operations) for operations, names in found.items()]


def operators_by_runtime(
    directory: Path, manifest: Manifest, runs: Mapping[str, ProfiledRun | None]
) -> OperatorsByRuntime:
    """Collects them.

    Raises:
        ArtifactError: An artifact is damaged.
    """
    runtimes = {entry.path: entry.metadata.runtime for entry in manifest.artifacts}
    return OperatorsByRuntime(
        executorch={
            name: delegated_operators(directory / name)
            for name, runtime in runtimes.items()
            if runtime == "executorch"
        },
        onnx={name: run.operators for name, run in runs.items() if run and run.operators},
        coreml={
            name: mil_operations_of(directory / name)
            for name, runtime in runtimes.items()
            if runtime in ("coreml", "executorch-coreml")
        },
    )

"""ExecuTorch programs whose whole network is one Core ML delegate.

Off macOS the ML Program inside is taken out and run by Core ML's reference executor.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import override

from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.runtimes import coreml, executorch
from sqsam_deploy.runtimes.base import APPLE, Runtime
from sqsam_deploy.runtimes.inspection import Inspection

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from sqsam_deploy.runtimes.session import Session


@dataclass(frozen=True, kw_only=True, eq=False)
class ExecuTorchCoreML(Runtime):
    """See `Runtime`."""

    @override
    def lower(self, program: "ExportedProgram", metadata: ArtifactMetadata, path: Path) -> None:
        from sqsam_deploy.runtimes.executorch_coreml.lowering import lower

        lower(program, metadata, path)

    @override
    def open_session(self, path: Path, threads: int | None = None) -> "Session":
        from sqsam_deploy.runtimes.executorch_coreml.session import open_session

        return open_session(path, threads)

    @override
    def read_metadata(self, path: Path) -> ArtifactMetadata:
        return executorch.RUNTIME.read_metadata(path)

    @override
    def minimum_runtime(self, metadata: ArtifactMetadata) -> str:
        """ExecuTorch reads it; the delegate inside asks for this iOS."""
        lowest = coreml.RUNTIME.minimum_runtime(metadata)
        return f"ExecuTorch 1.4 with the Core ML backend, {lowest}"

    @override
    def runtime_version(self) -> str:
        return coreml.RUNTIME.runtime_version()

    @override
    def inspect(self, path: Path) -> Inspection:
        from sqsam_deploy.runtimes.executorch_coreml.inspection import inspect_delegate

        return inspect_delegate(path)


RUNTIME = ExecuTorchCoreML(
    name="executorch-coreml",
    title="ExecuTorch with Core ML's delegate",
    # "-coreml" keeps its files apart from XNNPACK's.
    ending="-coreml.pte",
    layouts={"fp16": ("nchw-float32",)},
    library="executorch.extension.pybindings.portable_lib",
    distributions=("executorch", "coremltools"),
    systems=APPLE,
    cost=2.0,
    # ExecuTorch's Core ML backend begins here (its documentation, "Target Requirements").
    deployment_targets={"fp16": "iOS16"},
    phone_compute={"iOS": ("delegate",)},
)

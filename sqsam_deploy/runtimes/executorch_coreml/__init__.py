"""ExecuTorch programs whose whole network is one Core ML delegate.

Off macOS the ML Program inside is taken out and run by Core ML's reference executor.
"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import override

from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.artifact.requirements import Requirements, highest
from sqsam_deploy.runtimes import coreml, executorch
from sqsam_deploy.runtimes.base import APPLE, Runtime
from sqsam_deploy.runtimes.device import OnDevice
from sqsam_deploy.runtimes.inspection import Inspection

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from sqsam_deploy.runtimes.session import Session


@dataclass(frozen=True, kw_only=True, eq=False)
class ExecuTorchCoreML(Runtime):
    """See `Runtime`."""

    @override
    def load_compiler(self) -> None:
        coreml.RUNTIME.load_compiler()
        executorch.RUNTIME.load_compiler()

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
    def requirements(self, metadata: ArtifactMetadata) -> Requirements:
        from sqsam_deploy.runtimes.executorch.device import CORE_ML, requirements

        return _for_system(requirements((CORE_ML,), None), metadata)

    @override
    def on_device(self, metadata: ArtifactMetadata, path: Path) -> OnDevice:
        from sqsam_deploy.runtimes.executorch.inspection import readable_pte
        from sqsam_deploy.runtimes.executorch_coreml.device import delegate_on_device

        file = readable_pte(path)
        if file is None:
            return super().on_device(metadata, path)
        found = delegate_on_device(file)
        return replace(found, requirements=_for_system(found.requirements, metadata))

    @override
    def inspect(self, path: Path) -> Inspection:
        from sqsam_deploy.runtimes.executorch_coreml.inspection import inspect_delegate

        return inspect_delegate(path)


def _for_system(outer: Requirements, metadata: ArtifactMetadata) -> Requirements:
    """Requirements of a `.pte` with the lowest systems of the delegate inside."""
    inner = coreml.RUNTIME.requirements(metadata)
    lowest = {"ios": highest(outer.ios, inner.ios), "macos": highest(outer.macos, inner.macos)}
    return outer.model_copy(update=lowest)


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
    # ExecuTorch's Swift package, which brings the backend, begins here.
    deployment_targets={"fp16": "iOS17"},
    # coremltools' names. The GPU is left out by default: iOS ends an app that uses it in the
    # background, and the app cannot change what the file says.
    options={
        "fp16": {"compute_units": ("cpu_and_ne", "all", "cpu_and_gpu", "cpu_only")},
    },
    phone_compute={"iOS": ("delegate",)},
)

"""Core ML: `.mlpackage` directories, lowered anywhere, run natively on macOS.

Elsewhere `reference` interprets the saved ML Program, so that no artifact leaves unexecuted.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import override

from sqsam_deploy.artifact.metadata import DEFAULT_DEPLOYMENT_TARGET, ArtifactMetadata
from sqsam_deploy.artifact.requirements import MACOS_OF, Requirements
from sqsam_deploy.runtimes.base import APPLE, Runtime
from sqsam_deploy.runtimes.device import OnDevice
from sqsam_deploy.runtimes.inspection import Inspection

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from sqsam_deploy.runtimes.session import Session


@dataclass(frozen=True, kw_only=True, eq=False)
class CoreML(Runtime):
    """See `Runtime`."""

    @override
    def load_compiler(self) -> None:
        from sqsam_deploy._internal.upstream.coremltools import coremltools

        coremltools()

    @override
    def lower(self, program: "ExportedProgram", metadata: ArtifactMetadata, path: Path) -> None:
        from sqsam_deploy.runtimes.coreml.lowering import lower

        lower(program, metadata, path)

    @override
    def open_session(self, path: Path, threads: int | None = None) -> "Session":
        from sqsam_deploy.runtimes.coreml.session import open_session

        return open_session(path, threads)

    @override
    def read_metadata(self, path: Path) -> ArtifactMetadata:
        from sqsam_deploy.runtimes.coreml.session import read_metadata

        return read_metadata(path)

    @override
    def minimum_runtime(self, metadata: ArtifactMetadata) -> str:
        """Lowest iOS that loads an artifact, as coremltools names it.

        W8A8 (`int8`) loads on every iPhone with iOS 17, but runs faster than fp16 only on the
        Neural Engine of an A17 Pro, an M4 or later.
        """
        return metadata.deployment_target or DEFAULT_DEPLOYMENT_TARGET

    @override
    def runtime_version(self) -> str:
        from sqsam_deploy.runtimes.coreml.session import runtime_version

        return runtime_version()

    @override
    def requirements(self, metadata: ArtifactMetadata) -> Requirements:
        target = metadata.deployment_target or DEFAULT_DEPLOYMENT_TARGET
        return Requirements(
            frameworks=("CoreML",),
            ios=f"{target.removeprefix('iOS')}.0",
            macos=MACOS_OF[target],
        )

    @override
    def on_device(self, metadata: ArtifactMetadata, path: Path) -> OnDevice:
        from sqsam_deploy.runtimes.coreml.device import package_checks
        from sqsam_deploy.runtimes.coreml.package import read_package

        return OnDevice(self.requirements(metadata), package_checks(read_package(path)))

    @override
    def inspect(self, path: Path) -> Inspection:
        from sqsam_deploy.runtimes.coreml.inspection import inspect_package

        return inspect_package(path)


RUNTIME = CoreML(
    name="coreml",
    title="Core ML",
    ending=".mlpackage",
    layouts={
        "fp32": ("image",),
        "fp16": ("image",),
        "int8": ("image",),
        "int8-weights": ("image",),
        "palettized-6bit": ("image",),
        "palettized-4bit": ("image",),
    },
    library="coremltools",
    distributions=("coremltools",),
    systems=APPLE,
    is_default=True,
    cost=1.5,
    # `quantize` and `dequantize` are of iOS 17 (coremltools 9.0 lowers weights alone to the same
    # operator); palettes of single channels are of iOS 18; ML Programs begin with iOS 15.
    deployment_targets={
        "fp32": "iOS15",
        "fp16": "iOS15",
        "int8": "iOS17",
        "int8-weights": "iOS17",
        "palettized-6bit": "iOS18",
        "palettized-4bit": "iOS18",
    },
    # How weights are stored: see docs/coreml.md, "Signed or unsigned weights".
    options={
        "int8": {"weight_encoding": ("signed", "unsigned")},
        "int8-weights": {"weight_encoding": ("unsigned", "signed")},
    },
    # Core ML's own names (`MLComputeUnits`).
    phone_compute={"iOS": ("all", "cpuAndNeuralEngine", "cpuOnly")},
)

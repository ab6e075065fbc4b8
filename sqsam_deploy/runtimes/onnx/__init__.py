"""ONNX files: int8 as QDQ, run by ONNX Runtime."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import override

from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.artifact.requirements import Requirements
from sqsam_deploy.runtimes.base import EVERYWHERE, WEB, Feeds, RawRunner, Runtime
from sqsam_deploy.runtimes.device import OnDevice
from sqsam_deploy.runtimes.inspection import Inspection

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from sqsam_deploy.runtimes.profiling import ProfiledRun
    from sqsam_deploy.runtimes.session import Session


@dataclass(frozen=True, kw_only=True, eq=False)
class Onnx(Runtime):
    """See `Runtime`."""

    @override
    def lower(self, program: "ExportedProgram", metadata: ArtifactMetadata, path: Path) -> None:
        from sqsam_deploy.runtimes.onnx.lowering import lower

        lower(program, metadata, path)

    @override
    def open_session(self, path: Path, threads: int | None = None) -> "Session":
        from sqsam_deploy.runtimes.onnx.session import open_session

        return open_session(path, threads)

    @override
    def read_metadata(self, path: Path) -> ArtifactMetadata:
        from sqsam_deploy.runtimes.onnx.model_file import read_metadata

        return read_metadata(path)

    @override
    def minimum_runtime(self, metadata: ArtifactMetadata) -> str:
        """Lowest ONNX Runtime that implements the operator set and reads the file format."""
        return "ONNX Runtime 1.15"

    @override
    def runtime_version(self) -> str:
        import onnxruntime

        return f"onnxruntime {onnxruntime.__version__}, all graph optimizations"

    @override
    def requirements(self, metadata: ArtifactMetadata) -> Requirements:
        from sqsam_deploy.runtimes.onnx.device import REQUIREMENTS

        return REQUIREMENTS

    @override
    def on_device(self, metadata: ArtifactMetadata, path: Path) -> OnDevice:
        from sqsam_deploy.runtimes.onnx.device import file_checks

        return OnDevice(self.requirements(metadata), file_checks(path))

    @override
    def inspect(self, path: Path) -> Inspection:
        """The bytes; the kernels that run are known only after ONNX Runtime's optimizations."""
        from sqsam_deploy.runtimes.onnx.inspection import onnx_parts

        return Inspection(onnx_parts(path))

    @override
    def raw_runner(self, path: Path, threads: int) -> RawRunner:
        from sqsam_deploy.runtimes.onnx.raw import OnnxNetwork

        return OnnxNetwork(path, threads)

    @override
    def profile(self, path: Path, feeds: Feeds, threads: int, count: int) -> "ProfiledRun":
        from sqsam_deploy.runtimes.onnx.profile import profile_onnx

        return profile_onnx(path, feeds, threads, count)


RUNTIME = Onnx(
    name="onnx",
    title="ONNX Runtime",
    ending=".onnx",
    # The int8 layout is what the first convolution's kernel reads: nothing is converted.
    layouts={
        "fp32": ("nchw-float32",),
        "fp16": ("nchw-float32",),
        "int8": ("nhwc-uint8", "nchw-float32"),
    },
    library="onnxruntime",
    distributions=("onnx", "onnxscript", "onnxruntime"),
    systems=EVERYWHERE | WEB,
    is_default=True,
    cost=1.0,
    phone_compute={"Android": ("cpu",)},
    profiler="onnxruntime profile",
)

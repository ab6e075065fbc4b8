"""ExecuTorch: `.pte` files whose arithmetic runs in XNNPACK."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import override

from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.artifact.requirements import Requirements
from sqsam_deploy.runtimes.base import EVERYWHERE, Feeds, RawRunner, Runtime
from sqsam_deploy.runtimes.device import OnDevice
from sqsam_deploy.runtimes.inspection import Inspection

if TYPE_CHECKING:
    from torch.export import ExportedProgram

    from sqsam_deploy.runtimes.profiling import ProfiledRun
    from sqsam_deploy.runtimes.session import Session


@dataclass(frozen=True, kw_only=True, eq=False)
class ExecuTorch(Runtime):
    """See `Runtime`."""

    @override
    def load_compiler(self) -> None:
        from sqsam_deploy._internal.upstream.executorch import load_compiler

        load_compiler()

    @override
    def lower(self, program: "ExportedProgram", metadata: ArtifactMetadata, path: Path) -> None:
        from sqsam_deploy.runtimes.executorch.lowering import lower

        lower(program, metadata, path)

    @override
    def open_session(self, path: Path, threads: int | None = None) -> "Session":
        from sqsam_deploy.runtimes.executorch.session import open_session

        return open_session(path, threads)

    @override
    def read_metadata(self, path: Path) -> ArtifactMetadata:
        from sqsam_deploy.runtimes.executorch.session import read_metadata

        return read_metadata(path)

    @override
    def minimum_runtime(self, metadata: ArtifactMetadata) -> str:
        """The oldest runtime that was run with these files (`docs/ci/oldest.yml`).

        ExecuTorch itself promises that a runtime reads the files of the release before it; nothing
        of later ones, and nothing of an older runtime (its `runtime/COMPATIBILITY.md`).
        """
        # Float16 weights of convolutions, which 1.4.1 does not load (error 1).
        oldest = "1.5" if metadata.precision == "fp16" else "1.4"
        return f"ExecuTorch {oldest} with the XNNPACK backend"

    @override
    def runtime_version(self) -> str:
        from importlib.metadata import version

        return f"executorch {version('executorch')}, XNNPACK"

    @override
    def requirements(self, metadata: ArtifactMetadata) -> Requirements:
        from sqsam_deploy.runtimes.executorch.device import XNNPACK, requirements

        return requirements((XNNPACK,), None)

    @override
    def on_device(self, metadata: ArtifactMetadata, path: Path) -> OnDevice:
        from sqsam_deploy.runtimes.executorch.device import file_on_device
        from sqsam_deploy.runtimes.executorch.inspection import readable_pte

        file = readable_pte(path)
        return file_on_device(file) if file else super().on_device(metadata, path)

    @override
    def inspect(self, path: Path) -> Inspection:
        from sqsam_deploy.runtimes.executorch.inspection import inspect_pte

        return inspect_pte(path)

    @override
    def load_library(self) -> None:
        from sqsam_deploy._internal.upstream.executorch import runtime

        runtime(self.library)

    @override
    def raw_runner(self, path: Path, threads: int) -> RawRunner:
        from sqsam_deploy.runtimes.executorch.raw import ExecuTorchNetwork

        return ExecuTorchNetwork(path, threads)

    @override
    def profile(self, path: Path, feeds: Feeds, threads: int, count: int) -> "ProfiledRun":
        from sqsam_deploy.runtimes.executorch.profile import profile_executorch
        from sqsam_deploy.runtimes.executorch.quiet import quiet_cpp
        from sqsam_deploy.runtimes.profiling import ProfiledRun

        with quiet_cpp(), warnings.catch_warnings():
            # The inspector misses the tensors' values, which nobody asked for.
            warnings.simplefilter("ignore")
            return ProfiledRun(profile_executorch(path, feeds, threads, count))


RUNTIME = ExecuTorch(
    name="executorch",
    title="ExecuTorch",
    ending=".pte",
    # The int8 layout is what the first convolution's kernel reads: nothing is converted.
    layouts={
        "fp32": ("nchw-float32",),
        "fp16": ("nchw-float32",),
        "int8": ("nhwc-int8", "nchw-float32"),
    },
    library="executorch.extension.pybindings.portable_lib",
    distributions=("executorch",),
    systems=EVERYWHERE,
    is_default=True,
    cost=3.0,
    phone_compute={"iOS": ("cpu",), "Android": ("cpu",)},
    profiler="ExecuTorch ETDump",
)

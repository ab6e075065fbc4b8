"""LiteRT, once TensorFlow Lite: `.tflite` files whose arithmetic runs in XNNPACK."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from typing_extensions import override

from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.artifact.requirements import Requirements
from sqsam_deploy.runtimes.base import EVERYWHERE, RawRunner, Runtime
from sqsam_deploy.runtimes.inspection import Inspection
from sqsam_deploy.runtimes.session import Session

if TYPE_CHECKING:
    from torch.export import ExportedProgram


@dataclass(frozen=True, kw_only=True, eq=False)
class LiteRt(Runtime):
    """See `Runtime`."""

    @override
    def lower(self, program: "ExportedProgram", metadata: ArtifactMetadata, path: Path) -> None:
        from sqsam_deploy.runtimes.litert.lowering import lower

        lower(program, metadata, path)

    @override
    def open_session(self, path: Path, threads: int | None = None) -> Session:
        from sqsam_deploy.runtimes.litert.session import open_session

        return open_session(path, threads)

    @override
    def read_metadata(self, path: Path) -> ArtifactMetadata:
        from sqsam_deploy.runtimes.litert.model_file import metadata_of, read_model

        return metadata_of(read_model(path), path)

    @override
    def minimum_runtime(self, metadata: ArtifactMetadata) -> str:
        """Lowest version that has the operators, as the converter states it in the file."""
        return "LiteRT 1.0 or TensorFlow Lite 2.12"

    @override
    def runtime_version(self) -> str:
        from importlib.metadata import version

        return f"ai-edge-litert {version('ai-edge-litert')}, XNNPACK"

    @override
    def requirements(self, metadata: ArtifactMetadata) -> Requirements:
        """The bundled runtime; Play services bring one that needs no library in the app."""
        return Requirements(
            maven=("com.google.ai.edge.litert:litert:2.3.0",),
            # The archives' own manifest (https://ai.google.dev/edge/litert/android).
            android_api=24,
        )

    @override
    def inspect(self, path: Path) -> Inspection:
        from sqsam_deploy.runtimes.litert.inspection import inspect_tflite

        return inspect_tflite(path)

    @override
    def raw_runner(self, path: Path, threads: int) -> RawRunner:
        from sqsam_deploy.runtimes.litert.session import LiteRtNetwork

        return LiteRtNetwork(path.read_bytes(), path, threads)


RUNTIME = LiteRt(
    name="litert",
    title="LiteRT",
    ending=".tflite",
    # The int8 layout is what the first convolution's kernel reads: nothing is converted.
    layouts={
        "fp32": ("nchw-float32",),
        "fp16": ("nchw-float32",),
        "int8": ("nhwc-int8",),
    },
    library="ai_edge_litert.interpreter",
    distributions=("ai-edge-litert", "litert-torch", "litert-converter"),
    systems=EVERYWHERE,
    cost=4.0,
    phone_compute={"Android": ("cpu",)},
)

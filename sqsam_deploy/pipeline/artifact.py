"""The end of every build: lower one target, load it again from disk, compare it, enter it."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sqsam_deploy._internal.progress import Steps
from sqsam_deploy.artifact.manifest import Agreement, ArtifactEntry, BuildEntry, file_entries
from sqsam_deploy.artifact.metadata import ArtifactMetadata
from sqsam_deploy.errors import GateError
from sqsam_deploy.pipeline.targets import AGREEMENT_LIMITS
from sqsam_deploy.runtimes import open_session, runtime_package
from sqsam_deploy.runtimes.session import Session

if TYPE_CHECKING:
    from torch.export import ExportedProgram

#: Compares a session with the float network; takes the limit and the executor to be recorded.
Comparison = Callable[[Session, float, str], Agreement]


@dataclass(frozen=True)
class ArtifactPlan:
    """One artifact before it is built.

    Attributes:
        path: Where it goes.
        program: What it is lowered from.
        metadata: What it says of itself.
        build: What else building it again needs.
    """

    path: Path
    program: "ExportedProgram"
    metadata: ArtifactMetadata
    build: BuildEntry | None = None


def build_artifact(plan: ArtifactPlan, compare: Comparison, steps: Steps) -> ArtifactEntry:
    """Writes an artifact, runs it from disk and says what it is.

    Raises:
        GateError: It agrees too little with the float network.
        ArtifactError: It does not run.
    """
    path, metadata = plan.path, plan.metadata
    runtime = runtime_package(metadata.runtime)
    limit = AGREEMENT_LIMITS[metadata.precision]
    steps.begin(f"lowering {path.name}")
    runtime.lower(plan.program, metadata, path)
    steps.begin(f"executing {path.name}")
    agreement = compare(open_session(path), limit, runtime.executor())
    if agreement.mean_mask_iou < limit:
        raise GateError(
            f"{path.name} agrees with the float network at {agreement.mean_mask_iou:.3f} "
            f"{_counted(agreement, metadata)}, under the limit of {limit}: nothing was written"
        )
    return ArtifactEntry(
        path=path.name,
        files=file_entries(path.parent, [path]),
        metadata=metadata,
        agreement=agreement,
        minimum_runtime=runtime.minimum_runtime(metadata),
        build=plan.build,
    )


def _counted(agreement: Agreement, metadata: ArtifactMetadata) -> str:
    if metadata.task == "saliency":
        return f"mean IoU of the salient area on {agreement.images} photos"
    return f"mean mask IoU on {agreement.prompts} prompts"

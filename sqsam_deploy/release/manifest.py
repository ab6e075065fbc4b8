"""`manifest.json`: what an export directory holds, from what it was made, how well it agrees."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from sqsam_deploy.runtimes.metadata import ArtifactMetadata

MANIFEST_NAME = "manifest.json"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class FileEntry(_Frozen):
    """One file: POSIX path relative to the manifest, size in bytes, SHA-256 in lower-case hex."""

    path: str
    bytes: int = Field(ge=0)
    sha256: str = Field(pattern="^[0-9a-f]{64}$")


class Agreement(_Frozen):
    """How an executed artifact compares with the float network on real images and prompts.

    Attributes:
        images: Images it was run on.
        prompts: Predictions that were compared.
        mean_mask_iou: Mean IoU of the artifact's best mask with the float network's.
        min_mask_iou: The lowest of them.
        max_logit_difference: Largest absolute difference of any mask logit.
        max_iou_difference: Largest absolute difference of a predicted IoU.
        limit: `mean_mask_iou` the artifact had to reach.
        executor: What ran it, with version: "onnxruntime 1.31.1", "reference executor".
    """

    images: int
    prompts: int
    mean_mask_iou: float
    min_mask_iou: float
    max_logit_difference: float
    max_iou_difference: float
    limit: float
    executor: str


class ArtifactEntry(_Frozen):
    """One artifact: the file or the package directory, and every file in it.

    Attributes:
        path: File (`nano-int8.pte`) or directory (`nano-int8.mlpackage`) beside the manifest.
        minimum_runtime: Lowest version of the runtime, or of iOS, that reads it.
    """

    path: str
    files: tuple[FileEntry, ...]
    metadata: ArtifactMetadata
    agreement: Agreement
    minimum_runtime: str

    @property
    def bytes(self) -> int:
        """Size of all its files."""
        return sum(entry.bytes for entry in self.files)


class WeightsEntry(_Frozen):
    """The checkpoint: file name, hash of its bytes, and the licence note it carries."""

    name: str
    sha256: str
    licence: str | None = None


class CalibrationEntry(_Frozen):
    """What int8 ranges were measured on."""

    source: str
    images: int
    samples: int
    seed: int
    images_sha256: str


class Manifest(_Frozen):
    """The whole directory. `manifest_version` grows when a reader must change."""

    manifest_version: Literal[1] = 1
    name: str
    preset: str
    weights: WeightsEntry
    calibration: CalibrationEntry | None
    tools: dict[str, str]
    git_revision: str | None
    artifacts: tuple[ArtifactEntry, ...]
    extra_files: tuple[FileEntry, ...] = ()

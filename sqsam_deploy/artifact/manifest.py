"""`manifest.json`: what an export directory holds, from what it was made, how well it agrees."""

import hashlib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AliasChoices, ConfigDict, Field, model_validator

from sqsam_deploy._internal.atomic import atomic_write
from sqsam_deploy.artifact.documents import Frozen, load_versioned, validate_document
from sqsam_deploy.artifact.files import FileEntry as FileEntry
from sqsam_deploy.artifact.files import file_entries as file_entries
from sqsam_deploy.artifact.files import files_in, sums_text, verify_file
from sqsam_deploy.artifact.metadata import ArtifactMetadata, InputLayout
from sqsam_deploy.artifact.paths import RelativePath, find_clash
from sqsam_deploy.artifact.requirements import Requirements
from sqsam_deploy.errors import ArtifactError

MANIFEST_NAME = "manifest.json"
#: The newest `manifest_version` this package reads.
MANIFEST_VERSION = 1
#: No export and no release has more files.
FILE_LIMIT = 10_000


class Agreement(Frozen):
    """How an executed artifact compares with the float network on real images and prompts.

    Attributes:
        images: Images it was run on.
        prompts: Predictions that were compared.
        mean_mask_iou: Mean IoU of the artifact's best mask with the float network's; of a network
            with prompts weighted by the masks' area.
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


class BuildEntry(Frozen):
    """How an artifact was asked for, beyond what its metadata says: enough to build it again.

    Attributes:
        input_layout: How it takes the image.
        keep_float: Patterns of modules that int8 left in float.
        name: What takes the precision's place in the file name, if something does.
    """

    input_layout: InputLayout
    keep_float: tuple[str, ...] = ()
    name: str | None = None


class ArtifactEntry(Frozen):
    """One artifact: the file or the package directory, and every file in it.

    Attributes:
        path: File (`nano-int8.pte`) or directory (`nano-int8.mlpackage`) beside the manifest.
        minimum_runtime: Lowest version of the runtime, or of iOS, that reads it.
        requirements: What an app links, and the lowest systems; None in manifests written before
            they were stated.
        build: How it was asked for; None for a saliency network, whose artifacts follow from the
            others, and in manifests written before there were recipes.
    """

    path: RelativePath
    files: tuple[FileEntry, ...] = Field(min_length=1)
    metadata: ArtifactMetadata
    agreement: Agreement
    minimum_runtime: str
    requirements: Requirements | None = None
    build: BuildEntry | None = None

    @property
    def bytes(self) -> int:
        """Size of all its files."""
        return sum(entry.bytes for entry in self.files)

    @property
    def is_directory(self) -> bool:
        """Whether the artifact is a package directory rather than one file."""
        return self.files[0].path != self.path

    @property
    def sha256(self) -> str:
        """Digest of the file; of a directory, that of the `SHA256SUMS` of its files.

        The lines are `<sha256>  <path>`, with paths relative to the directory, sorted by path
        as bytes. With coreutils, inside the directory:
        `find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs sha256sum | sha256sum`.
        """
        if not self.is_directory:
            return self.files[0].sha256
        lines = sums_text({self.inner_path(entry): entry.sha256 for entry in self.files})
        return hashlib.sha256(lines.encode()).hexdigest()

    def inner_path(self, entry: FileEntry) -> str:
        """Path of one of its files relative to the package directory."""
        return entry.path.removeprefix(f"{self.path}/")

    @model_validator(mode="after")
    def _check_files(self) -> Self:
        alone = len(self.files) == 1 and self.files[0].path == self.path
        if not alone and not all(entry.path.startswith(f"{self.path}/") for entry in self.files):
            raise ValueError(f"a file of {self.path!r} lies outside it")
        return self


#: A license note. Documents of earlier versions spell its key `licence`.
LicenseNote = Annotated[str | None, Field(validation_alias=AliasChoices("license", "licence"))]


def _allow_earlier_spelling(schema: dict[str, Any]) -> None:
    schema["properties"]["licence"] = schema["properties"]["license"] | {"deprecated": True}


class WeightsEntry(Frozen):
    """The checkpoint: file name, hash of its bytes, and the license note it carries."""

    model_config = ConfigDict(json_schema_extra=_allow_earlier_spelling)

    name: str
    sha256: str
    license: LicenseNote = None


class CalibrationEntry(Frozen):
    """The data that int8 ranges were measured on.

    Attributes:
        prompt_sources: Images by what their prompts were drawn from: "objects", or, without any,
            "saliency". Empty in manifests written before photos without objects were taken.
    """

    source: str
    images: int
    samples: int
    seed: int
    images_sha256: str
    prompt_sources: dict[str, int] = Field(default_factory=dict)

    @property
    def sentence(self) -> str:
        """How many photos, and where their prompts came from, for people."""
        counts = " and ".join(f"{count} from {name}" for name, count in self.prompt_sources.items())
        prompts = f"; prompts: {counts}" if counts else ""
        return f"{self.images} images of {self.source}, {self.samples} samples{prompts}"


class Manifest(Frozen):
    """The whole directory. `manifest_version` grows when a reader must change.

    Attributes:
        recipe: Name of the recipe it was exported with, if it was.
        saliency_weights: The checkpoint of the artifacts whose task is "saliency", if there are.
    """

    manifest_version: Literal[1] = 1
    name: str
    preset: str
    recipe: str | None = None
    weights: WeightsEntry
    saliency_weights: WeightsEntry | None = None
    calibration: CalibrationEntry | None
    tools: dict[str, str]
    git_revision: str | None
    artifacts: tuple[ArtifactEntry, ...]
    extra_files: tuple[FileEntry, ...] = ()

    @model_validator(mode="after")
    def _check_paths(self) -> Self:
        if len(self.all_files()) > FILE_LIMIT:
            raise ValueError(f"it lists more than {FILE_LIMIT} files")
        clash = find_clash(entry.path for entry in self.all_files())
        if clash is not None:
            raise ValueError(f"two files would be stored as {clash!r}")
        return self

    def all_files(self) -> tuple[FileEntry, ...]:
        """Every file the manifest lists: those of the artifacts, then the others."""
        listed = (entry for artifact in self.artifacts for entry in artifact.files)
        return (*listed, *self.extra_files)


def write_manifest(directory: Path, manifest: Manifest) -> Path:
    """Writes `manifest.json` into the directory, whole or not at all, and returns its path."""
    path = directory / MANIFEST_NAME
    atomic_write(path, (manifest.model_dump_json(indent=2) + "\n").encode())
    return path


def read_manifest(directory: Path) -> Manifest:
    """The manifest of an export or release directory.

    Raises:
        ArtifactError: There is none, it is damaged, or a newer package wrote it.
    """
    path = directory / MANIFEST_NAME
    try:
        content = path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        raise ArtifactError(
            f"{directory} has no {MANIFEST_NAME}: give a directory that sqsam-export wrote"
        ) from None
    return parse_manifest(content, str(path))


def parse_manifest(content: bytes, source: str) -> Manifest:
    """The manifest in `content`; `source` names it in errors.

    Raises:
        ArtifactError: It is damaged, or a newer package wrote it.
    """
    document = load_versioned(content, source, "manifest_version", MANIFEST_VERSION)
    return validate_document(Manifest, document, source)


def verify_files(directory: Path, manifest: Manifest) -> None:
    """Compares every file the manifest lists with the one in the directory, byte by hash.

    Raises:
        ArtifactError: A file is missing, differs, is a link, or lies in a package unlisted.
    """
    for entry in manifest.all_files():
        verify_file(directory, entry)
    for artifact in manifest.artifacts:
        if artifact.is_directory:
            _refuse_unlisted(directory, artifact)


def _refuse_unlisted(directory: Path, artifact: ArtifactEntry) -> None:
    listed = {entry.path for entry in artifact.files}
    for file in files_in(directory / artifact.path):
        if file.relative_to(directory).as_posix() not in listed:
            raise ArtifactError(f"{file} is not listed in {MANIFEST_NAME}: export again")

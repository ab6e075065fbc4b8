"""`release.json`: what one published version is and holds. This is what a signature signs.

Version 2 stores every file of an artifact under its own path. In version 1 a package directory
is one file of the release, a zip, which `ReleasedArtifact.stored_as` names.
"""

from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import ConfigDict, Field, model_validator

from sqsam_deploy.artifact.documents import Frozen, load_versioned, validate_document
from sqsam_deploy.artifact.files import FileEntry, Sha256, sums_text
from sqsam_deploy.artifact.manifest import FILE_LIMIT, LicenseNote
from sqsam_deploy.artifact.metadata import PrecisionName, RuntimeName
from sqsam_deploy.artifact.paths import RelativePath, check_relative_path, find_clash
from sqsam_deploy.errors import ReleaseError
from sqsam_deploy.release.version import ModelName, VersionText

RELEASE_NAME = "release.json"
SIGNATURE_NAME = "release.json.sig"
CARD_NAME = "README.md"
SBOM_NAME = "sbom.cdx.json"
LICENSE_NAME = "LICENSE.md"
#: The newest `release_version` this package reads, and the one it writes.
RELEASE_VERSION = 2
#: No release document is larger; a longer one is not read to its end.
DOCUMENT_LIMIT = 16 << 20
#: "2026-11-21T12:00:00Z".
Timestamp = Annotated[str, Field(pattern=r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$")]


class Drift(Frozen):
    """Float minus quantized, in mIoU points, with its confidence interval."""

    model_config = ConfigDict(frozen=True, extra="ignore", allow_inf_nan=False)

    mean: float
    low: float
    high: float


class Latency(Frozen):
    """Median time of the network alone on one device, with its 95% interval, in milliseconds.

    Attributes:
        device: Its name as the result file gives it.
        setup: Compute unit, threads, batch: "cpu, 2 threads".
        believable: Whether the machine was quiet enough; None where that was not judged.
    """

    device: str
    setup: str
    median: float
    low: float | None = None
    high: float | None = None
    believable: bool | None = None


class Verification(Frozen):
    """Whether the parity gate passed, and why it was published if not."""

    status: Literal["passed", "unverified"]
    reason: str | None = None


class ReleasedArtifact(Frozen):
    """One artifact of a release.

    Attributes:
        path: File or package directory, as the manifest and a pulled release name it.
        sha256: `ArtifactEntry.sha256`.
        bytes: Size of all its files.
        minimum_runtime: Lowest version of the runtime, or of iOS, that reads it.
        drift: Against the float network, in mIoU points; None where it was not measured.
    """

    path: RelativePath
    runtime: RuntimeName
    precision: PrecisionName
    sha256: Sha256
    bytes: int = Field(ge=0)
    minimum_runtime: str
    drift: Drift | None = None
    latency: tuple[Latency, ...] = ()
    #: Version 1 only: the release's file that holds it, for a package directory a zip.
    stored_as: RelativePath | None = Field(default=None, exclude=True)

    def holds(self, path: str) -> bool:
        """Whether a file of the release is this artifact, or a part of it."""
        return path in (self.path, self.stored_as) or path.startswith(f"{self.path}/")


class Release(Frozen):
    """One version of a model.

    Attributes:
        published: When, in UTC, to the second: "2026-11-21T12:00:00Z".
        files: Every file of the release but this document and its signature.
    """

    release_version: Literal[1, 2] = 2
    name: ModelName
    version: VersionText
    published: Timestamp
    preset: str
    license: LicenseNote
    verification: Verification
    artifacts: tuple[ReleasedArtifact, ...] = Field(max_length=1000)
    files: tuple[FileEntry, ...] = Field(max_length=FILE_LIMIT)

    def file(self, path: str) -> FileEntry:
        """The entry of one of its files.

        Raises:
            ReleaseError: It has none of that name.
        """
        try:
            return self._by_path[path]
        except KeyError:
            raise ReleaseError(f"{self.name} {self.version} has no file {path}") from None

    @cached_property
    def documents(self) -> dict[str, str]:
        """Path -> SHA-256 of every file that belongs to no artifact."""
        return {
            entry.path: entry.sha256
            for entry in self.files
            if not any(artifact.holds(entry.path) for artifact in self.artifacts)
        }

    @cached_property
    def texts(self) -> tuple[FileEntry, ...]:
        """The model card, and the license and cards of weights that it refers to.

        Raises:
            ReleaseError: It has no model card.
        """
        texts = {path for path in self.documents if path.endswith(".md") and "/" not in path}
        texts.add(self.file(CARD_NAME).path)
        return tuple(self.file(path) for path in sorted(texts))

    def archive(self, artifact: str) -> FileEntry | None:
        """The zip that holds a package directory, which only version 1 has."""
        stored = next(a.stored_as for a in self.artifacts if a.path == artifact)
        return self.file(stored) if stored not in (None, artifact) else None

    def same_content(self, other: "Release") -> bool:
        """Whether both say the same of the same files.

        The time of publishing and the format version may differ.
        """
        return self.documents == other.documents and self._described() == other._described()

    def _described(self) -> dict[str, object]:
        """Everything but the files, which the artifacts' hashes and `documents` stand for."""
        return self.model_dump(exclude={"release_version", "published", "files"})

    @cached_property
    def _by_path(self) -> dict[str, FileEntry]:
        return {entry.path: entry for entry in self.files}

    @property
    def bytes(self) -> int:
        """Size of all artifacts."""
        return sum(artifact.bytes for artifact in self.artifacts)

    @model_validator(mode="after")
    def _check_files(self) -> Self:
        names = {entry.path for entry in self.files}
        clash = find_clash((*(e.path for e in self.files), RELEASE_NAME, SIGNATURE_NAME))
        if clash is not None:
            raise ValueError(f"two files would be stored as {clash!r}")
        for artifact in self.artifacts:
            if (artifact.stored_as is None) != (self.release_version > 1):
                raise ValueError(f"{artifact.path!r} is stored in the way of another version")
            if artifact.stored_as is not None and artifact.stored_as not in names:
                raise ValueError(f"{artifact.stored_as!r} is not among its files")
        return self


def parse_release(content: bytes, source: str) -> Release:
    """A `release.json`; `source` names it in errors.

    Raises:
        ArtifactError: It is damaged, or a newer package wrote it.
    """
    document = load_versioned(content, source, "release_version", RELEASE_VERSION)
    return validate_document(Release, document, source)


def release_bytes(release: Release) -> bytes:
    """The document as it is stored."""
    return (release.model_dump_json(indent=2) + "\n").encode()


def record_text(release: Release, release_sha256: str, signature_sha256: str | None) -> str:
    """`SHA256SUMS` of the whole release, its document and signature included."""
    digests = {entry.path: entry.sha256 for entry in release.files}
    digests[RELEASE_NAME] = release_sha256
    if signature_sha256:
        digests[SIGNATURE_NAME] = signature_sha256
    return sums_text(digests)


def parse_record(content: bytes, source: str) -> dict[str, str]:
    """File name -> SHA-256 of a `SHA256SUMS`.

    Raises:
        ReleaseError: It is no such file, or names no `release.json`.
    """
    digests: dict[str, str] = {}
    for line in content.decode("utf-8", "replace").splitlines():
        digest, separator, path = line.partition("  ")
        if not separator or not _is_sha256(digest) or not _is_safe(path) or path in digests:
            raise ReleaseError(f"{source} is damaged: {line[:80]!r} is no line of a SHA256SUMS")
        digests[path] = digest
    if RELEASE_NAME not in digests:
        raise ReleaseError(f"{source} is damaged: it lists no {RELEASE_NAME}")
    return digests


def _is_sha256(text: str) -> bool:
    return len(text) == 64 and not set(text) - set("0123456789abcdef")


def _is_safe(path: str) -> bool:
    try:
        check_relative_path(path)
    except ValueError:
        return False
    return True

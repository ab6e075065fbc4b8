"""`release.json`: what one published version is and holds. This is what a signature signs."""

from typing import Literal, Self

from pydantic import Field, model_validator

from sqsam_deploy.artifact.documents import Frozen, load_versioned, validate_document
from sqsam_deploy.artifact.files import FileEntry, sums_text
from sqsam_deploy.artifact.metadata import Precision, RuntimeName
from sqsam_deploy.artifact.paths import RelativePath, check_relative_path, find_clash
from sqsam_deploy.errors import ReleaseError
from sqsam_deploy.release.parity import Drift

RELEASE_NAME = "release.json"
SIGNATURE_NAME = "release.json.sig"
CARD_NAME = "README.md"
SBOM_NAME = "sbom.cdx.json"
ARCHIVE_SUFFIX = ".zip"
#: The newest `release_version` this package reads.
RELEASE_VERSION = 1
#: No release document is larger; a longer one is not read to its end.
DOCUMENT_LIMIT = 16 << 20


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
        stored_as: The release's file that holds it; a package directory is stored as a zip.
        sha256: `ArtifactEntry.sha256` of the unpacked artifact.
        bytes: Its size, unpacked.
        minimum_runtime: Lowest version of the runtime, or of iOS, that reads it.
        drift: Against the float network, in mIoU points; None where it was not measured.
    """

    path: RelativePath
    stored_as: RelativePath
    runtime: RuntimeName
    precision: Precision
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    bytes: int = Field(ge=0)
    minimum_runtime: str
    drift: Drift | None = None
    latency: tuple[Latency, ...] = ()


class Release(Frozen):
    """One version of a model.

    Attributes:
        published: When, in UTC, to the second: "2026-11-21T12:00:00Z".
        files: Every file of the release but this document and its signature.
    """

    release_version: Literal[1] = 1
    name: str
    version: str
    published: str
    preset: str
    licence: str | None
    verification: Verification
    artifacts: tuple[ReleasedArtifact, ...]
    files: tuple[FileEntry, ...]

    def file(self, path: str) -> FileEntry:
        """The entry of one of its files.

        Raises:
            ReleaseError: It has none of that name.
        """
        for entry in self.files:
            if entry.path == path:
                return entry
        raise ReleaseError(f"{self.name} {self.version} has no file {path}")

    def same_content(self, other: "Release") -> bool:
        """Whether both say the same of the same files; the time of publishing may differ."""
        return self.model_copy(update={"published": other.published}) == other

    @property
    def bytes(self) -> int:
        """Size of all artifacts, unpacked."""
        return sum(artifact.bytes for artifact in self.artifacts)

    @model_validator(mode="after")
    def _check_files(self) -> Self:
        names = {entry.path for entry in self.files}
        clash = find_clash((*(e.path for e in self.files), RELEASE_NAME, SIGNATURE_NAME))
        if clash is not None:
            raise ValueError(f"two files would be stored as {clash!r}")
        for artifact in self.artifacts:
            if artifact.stored_as not in names:
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

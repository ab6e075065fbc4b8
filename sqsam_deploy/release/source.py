"""A store seen through the cache: what was pulled once can be pulled again without a network."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from semver import Version

from sqsam_deploy._internal.temporary import scratch_directory
from sqsam_deploy.artifact.files import FileEntry
from sqsam_deploy.artifact.manifest import MANIFEST_NAME, ArtifactEntry, Manifest, parse_manifest
from sqsam_deploy.errors import ReleaseError, StoreError
from sqsam_deploy.release import store_paths
from sqsam_deploy.release.cache import Cache, CachedFile
from sqsam_deploy.release.catalog import resolve, unknown
from sqsam_deploy.release.document import (
    DOCUMENT_LIMIT,
    RELEASE_NAME,
    SIGNATURE_NAME,
    Release,
    ReleasedArtifact,
    parse_record,
    parse_release,
)
from sqsam_deploy.release.download import Advance
from sqsam_deploy.release.http import NotInStoreError
from sqsam_deploy.release.signature import Verifier
from sqsam_deploy.release.store import Store
from sqsam_deploy.release.version import LATEST, Reference, is_version

Notify = Callable[[str], None]


class OfflineStore:
    """Stands for a store that must not be asked: everything has to be in the cache."""

    def __init__(self, url: str) -> None:
        self.url = url

    def read(self, path: str, limit: int) -> bytes:
        """See `Store.read`."""
        raise self._refusal(path)

    def read_range(self, path: str, start: int, end: int, size: int) -> bytes:
        """See `Store.read_range`."""
        raise self._refusal(path)

    def names(self, path: str) -> list[str]:
        """See `Store.names`."""
        raise self._refusal(path)

    def put(self, path: str, content: bytes) -> None:
        """See `Store.put`."""
        raise self._refusal(path)

    def put_new(self, path: str, content: bytes) -> bool:
        """See `Store.put_new`."""
        raise self._refusal(path)

    def put_file(self, path: str, source: Path) -> None:
        """See `Store.put_file`."""
        raise self._refusal(path)

    def _refusal(self, path: str) -> StoreError:
        return StoreError(f"{path} of {self.url} is not in the cache, and --offline forbids to ask")


@dataclass(frozen=True)
class OpenedRelease:
    """A release whose document was verified, before any of its models is downloaded.

    Attributes:
        document: The bytes of `release.json`.
        signature: The bytes of its signature, or None where it is unsigned.
        sha256: Hash of the document.
        signed_by: Who was proven to have signed it, or None where that was not asked.
    """

    release: Release
    manifest: Manifest
    document: bytes
    signature: bytes | None
    sha256: str
    signed_by: str | None


class Source:
    """Reads releases of one store, from the cache where the store cannot be reached."""

    def __init__(self, store: Store, cache: Cache, notify: Notify) -> None:
        self.store = store
        self._cache = cache
        self._notify = notify

    def resolve(self, reference: Reference) -> Version:
        """The version a reference names now, or named when the store was last reached.

        Raises:
            ReleaseError: There is no such model or tag.
            StoreError: The store cannot be reached, and the tag was never seen.
        """
        if reference.version is not None or reference.tag is None:
            return resolve(self.store, reference)
        try:
            return resolve(self.store, reference)
        except StoreError as error:
            known = self._recall(store_paths.tag(reference.name, reference.tag))
            if known is None:
                raise
            self._notify(f"{error}; {reference} was {known} when it was last seen")
            return known

    def refuse_older(
        self, reference: Reference, version: Version, pinned: Version | None = None
    ) -> None:
        """Refuses a `latest` that is older than what it must be; of other tags only tells.

        The tag `latest` names the highest released version, and versions are never removed: a
        store where it goes backwards was restored from an old copy, or somebody wants an old
        fault back. A signature does not show that, since the old version was signed, too.

        Args:
            reference: What was asked for.
            version: What it names now.
            pinned: The highest released version of the model that a lock file has.

        Raises:
            ReleaseError: A newer version is known.
        """
        if reference.tag is None:
            return
        before = self._recall(store_paths.tag(reference.name, reference.tag))
        if reference.tag != LATEST:
            if before is not None and version < before:
                self._notify(f"{reference} was {before} when it was last seen, and is {version}")
            return
        newest = self._recall(store_paths.newest(reference.name)) or before
        known = [v for v in (newest, pinned) if v is not None and v.prerelease is None]
        if known and version < max(known):
            raise ReleaseError(
                f"{reference} in {self.store.url} is {version}, and {max(known)} was pulled from "
                f"there before: {LATEST} never goes back; ask who keeps the store, or give "
                "--allow-older"
            )

    def remember(self, reference: Reference, version: Version) -> None:
        """Keeps what a reference named, once the release was verified."""
        text = f"{version}\n".encode()
        if reference.tag is not None:
            self._cache.remember(self.store, store_paths.tag(reference.name, reference.tag), text)
        newest = self._recall(store_paths.newest(reference.name))
        released = version.prerelease is None
        if reference.tag == LATEST or (released and (newest is None or version > newest)):
            self._cache.remember(self.store, store_paths.newest(reference.name), text)

    def _recall(self, path: str) -> Version | None:
        content = self._cache.recall(self.store, path)
        text = content.decode("utf-8", "replace").strip() if content else ""
        return Version.parse(text) if is_version(text) else None

    def open(self, name: str, version: Version, verifier: Verifier | None = None) -> OpenedRelease:
        """The release, its hashes and, where a verifier is given, its signature verified.

        Raises:
            ReleaseError: It does not exist, was tampered with, or is not signed as expected.
            ArtifactError: It was written by a newer package.
        """
        content, digests = self._record(name, version)
        document = self._document(digests[RELEASE_NAME])
        signature = self._document(digests[SIGNATURE_NAME]) if SIGNATURE_NAME in digests else None
        if verifier is not None:
            _verify_signature(verifier, document, signature, f"{name} {version}")
        what = f"{RELEASE_NAME} of {name} {version}"
        release = parse_release(document, what)
        _check_identity(release, name, version, digests, what)
        self._cache.remember(self.store, store_paths.record(name, version), content)
        return OpenedRelease(
            release=release,
            manifest=self._manifest(release),
            document=document,
            signature=signature,
            sha256=digests[RELEASE_NAME],
            signed_by=verifier.described if verifier else None,
        )

    def fetch(self, entry: FileEntry, advance: Advance) -> CachedFile:
        """A local, verified copy of one of a release's files."""
        return self._cache.fetch(self.store, entry, advance)

    def fetch_artifact(
        self, release: Release, artifact: ArtifactEntry, advance: Advance
    ) -> list[CachedFile]:
        """Local, verified copies of all files of an artifact."""
        archive = release.archive(artifact.path)
        if archive is not None:
            return self._cache.fetch_archived(self.store, archive, artifact, advance)
        return [self.fetch(entry, advance) for entry in artifact.files]

    def _document(self, digest: str) -> bytes:
        return self._cache.document(self.store, digest, DOCUMENT_LIMIT)

    def _record(self, name: str, version: Version) -> tuple[bytes, Mapping[str, str]]:
        """The record as the store has it; a version that changed since is refused."""
        path = store_paths.record(name, version)
        source = f"{self.store.url}/{path}"
        known = self._cache.recall(self.store, path)
        if known is not None and not _is_record(known):
            known = None  # a power cut may leave a file of zeros
        try:
            content = self.store.read(path, DOCUMENT_LIMIT)
        except NotInStoreError:
            raise unknown(self.store, Reference(name, version=version)) from None
        except StoreError:
            if known is None:
                raise
            content = known
        if known is not None and content != known:
            raise ReleaseError(
                f"{source} is not what it was when it was pulled before, and versions never "
                f"change: ask who keeps the store, or remove {self._cache.root}/records"
            )
        return content, parse_record(content, source)

    def _manifest(self, release: Release) -> Manifest:
        entry = release.file(MANIFEST_NAME)
        manifest = parse_manifest(self._document(entry.sha256), f"the manifest of {release.name}")
        described = {artifact.path: artifact for artifact in manifest.artifacts}
        for artifact in release.artifacts:
            if not _is_described(release, artifact, described.get(artifact.path)):
                raise ReleaseError(
                    f"{release.name} {release.version} contradicts itself: its manifest has "
                    f"another {artifact.path}"
                )
        return manifest


def _is_record(content: bytes) -> bool:
    try:
        parse_record(content, store_paths.RECORD_NAME)
    except ReleaseError:
        return False
    return True


def _is_described(
    release: Release, artifact: ReleasedArtifact, listed: ArtifactEntry | None
) -> bool:
    """Whether the manifest's entry is of this artifact, and its files are the release's."""
    if listed is None or listed.sha256 != artifact.sha256:
        return False
    if release.archive(artifact.path) is not None:
        return listed.is_directory
    return all(release.file(entry.path) == entry for entry in listed.files)


def _verify_signature(
    verifier: Verifier, document: bytes, signature: bytes | None, what: str
) -> None:
    if signature is None:
        raise ReleaseError(
            f"{what} is not signed, and a signature by {verifier.described} is asked"
        )
    with scratch_directory("verify") as directory:
        (directory / RELEASE_NAME).write_bytes(document)
        (directory / SIGNATURE_NAME).write_bytes(signature)
        verifier.verify(directory / RELEASE_NAME, directory / SIGNATURE_NAME)


def _check_identity(
    release: Release, name: str, version: Version, digests: Mapping[str, str], what: str
) -> None:
    """The document speaks of this very version, and lists the files that the record lists."""
    if (release.name, release.version) != (name, str(version)):
        raise ReleaseError(f"{what} is that of {release.name} {release.version}: it is refused")
    listed = {entry.path: entry.sha256 for entry in release.files}
    recorded = {
        path: digest
        for path, digest in digests.items()
        if path not in (RELEASE_NAME, SIGNATURE_NAME)
    }
    if listed != recorded:
        raise ReleaseError(
            f"{what} lists other files than its {store_paths.RECORD_NAME}: it is refused"
        )

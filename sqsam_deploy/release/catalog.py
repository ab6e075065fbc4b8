"""Which models, versions and tags a store has, and `index.json`, which sums that up.

The versions' own records are the truth; the index and the tag `latest` are derived from them,
for places that cannot be listed (plain HTTPS) and for people. Whoever publishes derives them
again, and once more, until nothing changed in between: of several publishers the last to write
has then seen every version committed before, so none is lost. After a crash between a version
and the index, the next publisher, or `sqsam-publish rebuild-index`, catches up.
"""

import contextlib
from dataclasses import dataclass
from typing import Literal

from pydantic import Field
from semver import Version

from sqsam_deploy.artifact.documents import Frozen, load_versioned, validate_document
from sqsam_deploy.artifact.files import Sha256, hash_bytes
from sqsam_deploy.artifact.paths import RelativePath
from sqsam_deploy.errors import ArtifactError, ReleaseError, SqsamError
from sqsam_deploy.release import store_paths
from sqsam_deploy.release.document import (
    DOCUMENT_LIMIT,
    RELEASE_NAME,
    SIGNATURE_NAME,
    Release,
    Timestamp,
    parse_record,
    parse_release,
)
from sqsam_deploy.release.http import NotInStoreError
from sqsam_deploy.release.store import Store
from sqsam_deploy.release.version import (
    LATEST,
    ModelName,
    Reference,
    TagName,
    VersionText,
    check_movable,
    is_name,
    is_tag,
    is_version,
)

#: The newest `index_version` this package reads.
INDEX_VERSION = 1
_TAG_LIMIT = 200


class IndexedVersion(Frozen):
    """One version in the index.

    Attributes:
        release_sha256: Hash of its `release.json`.
        bytes: Size of its artifacts, unpacked.
    """

    release_sha256: Sha256
    published: Timestamp
    status: Literal["passed", "unverified"]
    signed: bool
    bytes: int = Field(ge=0)
    artifacts: tuple[RelativePath, ...]


class IndexedModel(Frozen):
    """One model in the index: version -> what it is, tag -> version."""

    versions: dict[VersionText, IndexedVersion]
    tags: dict[TagName, VersionText]


class Index(Frozen):
    """`index.json`."""

    index_version: Literal[1] = 1
    models: dict[ModelName, IndexedModel]


@dataclass(frozen=True)
class Damage:
    """A version that was left out of the index, and why."""

    name: str
    version: str
    reason: str


def read_record(store: Store, name: str, version: Version) -> dict[str, str] | None:
    """File name -> SHA-256 of a version, or None where the store has no such version."""
    path = store_paths.record(name, version)
    try:
        return parse_record(store.read(path, DOCUMENT_LIMIT), f"{store.url}/{path}")
    except NotInStoreError:
        return None


def read_release(store: Store, name: str, version: Version, digest: str) -> Release:
    """The release document with this hash.

    Raises:
        ReleaseError: Its bytes have another hash, or it is of another model or version.
    """
    content = store.read(store_paths.blob(digest), DOCUMENT_LIMIT)
    what = f"{RELEASE_NAME} of {name} {version}"
    if hash_bytes(content) != digest:
        raise ReleaseError(f"{what} in {store.url} is damaged: its SHA-256 differs")
    release = parse_release(content, what)
    if (release.name, release.version) != (name, str(version)):
        raise ReleaseError(f"{what} in {store.url} is that of {release.name} {release.version}")
    return release


def read_index(store: Store) -> Index:
    """The index of a store; an empty one where it has none yet.

    Raises:
        ArtifactError: It is damaged, or a newer package wrote it.
    """
    source = f"{store.url}/{store_paths.INDEX}"
    try:
        content = store.read(store_paths.INDEX, DOCUMENT_LIMIT)
    except NotInStoreError:
        return Index(models={})
    document = load_versioned(content, source, "index_version", INDEX_VERSION)
    return validate_document(Index, document, source)


def resolve(store: Store, reference: Reference) -> Version:
    """The version a reference names.

    Raises:
        ReleaseError: The store has no such model or tag, with what it has instead.
    """
    if reference.version is not None:
        return reference.version
    assert reference.tag is not None  # a reference has one or the other
    version = read_tag(store, reference.name, reference.tag)
    if version is None:
        raise unknown(store, reference)
    return version


def unknown(store: Store, reference: Reference) -> ReleaseError:
    """The error for a reference the store does not have; it names what there is."""
    try:
        models = read_index(store).models
    except SqsamError:
        models = {}
    known = models.get(reference.name)
    if known is None:
        there = f"its models are {', '.join(sorted(models))}" if models else "it has no index"
        return ReleaseError(f"{store.url} has no {reference}: {there}")
    versions = ", ".join(sorted(known.versions, key=Version.parse))
    tags = ", ".join(sorted(known.tags)) or "none"
    return ReleaseError(f"{store.url} has no {reference}: versions are {versions}; tags {tags}")


def read_tag(store: Store, name: str, tag: str) -> Version | None:
    """The version a tag names now, or None where there is no such tag.

    Raises:
        ReleaseError: The tag's file holds no version.
    """
    try:
        content = store.read(store_paths.tag(name, tag), _TAG_LIMIT)
    except NotInStoreError:
        return None
    text = content.decode("utf-8", "replace").strip()
    if not is_version(text):
        raise ReleaseError(
            f"{store.url}/{store_paths.tag(name, tag)} is damaged: it names no version"
        )
    return Version.parse(text)


def move_tag(store: Store, name: str, tag: str, version: Version) -> None:
    """Makes a tag name a version that the store has.

    Raises:
        ReleaseError: The version does not exist.
        UsageError: The tag is `latest`, which follows the highest version by itself.
    """
    check_movable(tag)
    if read_record(store, name, version) is None:
        raise unknown(store, Reference(name, version=version))
    store.put(store_paths.tag(name, tag), f"{version}\n".encode())


class Indexer:
    """Derives the index from the records; remembers versions, which never change."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seen: dict[tuple[str, str], IndexedVersion | Damage] = {}

    def refresh(self, known: Index | None = None) -> Index:
        """Writes `latest` of every model and the index, until they agree with the records.

        Args:
            known: An earlier index, whose versions are not read again.
        """
        for name, model in known.models.items() if known else ():
            self._seen |= {(name, version): entry for version, entry in model.versions.items()}
        while True:
            index = self._derive()
            self._write(index)
            if self._derive() == index:
                return index

    @property
    def damage(self) -> list[Damage]:
        """Versions that could not be read."""
        return [entry for entry in self._seen.values() if isinstance(entry, Damage)]

    def _write(self, index: Index) -> None:
        for name, model in index.models.items():
            latest = model.tags.get(LATEST)
            if latest is not None:
                self._store.put(store_paths.tag(name, LATEST), f"{latest}\n".encode())
        content = index.model_dump_json(indent=2) + "\n"
        self._store.put(store_paths.INDEX, content.encode())

    def _derive(self) -> Index:
        names = self._store.names(store_paths.MODELS)
        # What is no model's folder, or no tag, was left by another program: `.DS_Store`, say.
        models = {name: self._model(name) for name in names if is_name(name)}
        return Index(models={name: model for name, model in models.items() if model.versions})

    def _model(self, name: str) -> IndexedModel:
        versions = {}
        for folder in self._store.names(store_paths.model(name)):
            if is_version(folder):
                entry = self._version(name, Version.parse(folder))
                if isinstance(entry, IndexedVersion):
                    versions[folder] = entry
        ordered = dict(sorted(versions.items(), key=lambda item: Version.parse(item[0])))
        return IndexedModel(versions=ordered, tags=self._tags(name, list(ordered)))

    def _version(self, name: str, version: Version) -> IndexedVersion | Damage | None:
        key = (name, str(version))
        if key not in self._seen:
            try:
                entry = self._read_version(name, version)
            except (ReleaseError, ArtifactError, NotInStoreError) as error:
                self._seen[key] = Damage(name, str(version), str(error))
            else:
                if entry is None:
                    return None
                self._seen[key] = entry
        return self._seen[key]

    def _read_version(self, name: str, version: Version) -> IndexedVersion | None:
        record = read_record(self._store, name, version)
        if record is None:
            return None
        release = read_release(self._store, name, version, record[RELEASE_NAME])
        return IndexedVersion(
            release_sha256=record[RELEASE_NAME],
            published=release.published,
            status=release.verification.status,
            signed=SIGNATURE_NAME in record,
            bytes=release.bytes,
            artifacts=tuple(artifact.path for artifact in release.artifacts),
        )

    def _tags(self, name: str, versions: list[str]) -> dict[str, str]:
        tags = {}
        for tag in self._store.names(store_paths.tags(name)):
            if is_tag(tag) and tag != LATEST:
                with contextlib.suppress(ReleaseError):
                    version = read_tag(self._store, name, tag)
                    if version is not None and str(version) in versions:
                        tags[tag] = str(version)
        if versions:
            tags[LATEST] = latest_of(versions)
        return dict(sorted(tags.items()))


def latest_of(versions: list[str]) -> str:
    """The highest version that is no pre-release, or the highest one if all are."""
    ordered = sorted(map(Version.parse, versions))
    released = [version for version in ordered if version.prerelease is None]
    return str((released or ordered)[-1])

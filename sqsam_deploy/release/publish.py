"""`sqsam-publish`: an export directory becomes an immutable version in a store.

Nothing of a version is visible before its record is written, and that is one exclusive step:

1. everything is checked, and the release is put together in a temporary directory;
2. its files go to the store under their hashes, where nobody looks for them yet;
3. the record `models/NAME/VERSION/SHA256SUMS` is created, if there is none: this is the commit;
4. tags and the index follow; the next publisher repairs them if this one dies before.
"""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from semver import Version

from sqsam_deploy._internal.progress import SilentSteps, Steps
from sqsam_deploy._internal.temporary import scratch_directory
from sqsam_deploy.artifact.files import hash_bytes
from sqsam_deploy.artifact.manifest import read_manifest
from sqsam_deploy.errors import ArtifactError, ReleaseError
from sqsam_deploy.release import store_paths
from sqsam_deploy.release.assemble import Assembled, assemble, check_directory, seal
from sqsam_deploy.release.catalog import (
    Index,
    Indexer,
    move_tag,
    read_index,
    read_record,
    read_release,
)
from sqsam_deploy.release.document import DOCUMENT_LIMIT, RELEASE_NAME, Release, parse_record
from sqsam_deploy.release.http import NotInStoreError
from sqsam_deploy.release.request import PublishRequest
from sqsam_deploy.release.signature import requested_signer
from sqsam_deploy.release.store import FolderStore, Store
from sqsam_deploy.release.version import check_movable, check_name, parse_version

_BLOCK = 8 << 20
#: Steps that `publish` reports, at most.
STEPS = 5


@dataclass(frozen=True)
class Published:
    """The outcome of publishing a version.

    Attributes:
        release: As it is in the store.
        already_there: Whether the same release had been published before.
    """

    release: Release
    already_there: bool


def publish(store: Store, request: PublishRequest, steps: Steps | None = None) -> Published:
    """Publishes one version; where this very release is already there, only tags and the index.

    Raises:
        UsageError: The version, the name, a tag or the key cannot be used.
        GateError: The parity gate did not pass.
        ArtifactError: The directory, its parity result or a benchmark result is not in order.
        ReleaseError: The version exists with other content.
        StoreError: The store cannot be read or written.
    """
    steps = steps or SilentSteps()
    version = parse_version(request.version)
    with _assembled(request, steps) as (release, workspace):
        signer = requested_signer(request)  # before anything is made in the store
        if isinstance(store, FolderStore):
            store.prepare()
        published = _already_there(store, release)
        if published is None:
            assembled = seal(workspace, release, signer)
            published = _publish_files(store, assembled, steps)
    steps.begin("moving tags, refreshing the index")
    for tag in request.tags:
        move_tag(store, release.name, tag, version)
    refresh_index(store)
    return published


def rehearse(store: Store, request: PublishRequest, steps: Steps | None = None) -> Published:
    """Checks everything that `publish` checks and puts the release together; writes nothing.

    Raises:
        SqsamError: As `publish`, but for what only shows while a store is written.
    """
    with _assembled(request, steps or SilentSteps()) as (release, _):
        requested_signer(request)
        is_new = isinstance(store, FolderStore) and not store.exists
        there = None if is_new else _already_there(store, release)
        return there or Published(release, already_there=False)


@contextmanager
def _assembled(request: PublishRequest, steps: Steps) -> Iterator[tuple[Release, Path]]:
    """The release, with its files in a temporary directory."""
    parse_version(request.version)
    steps.begin("comparing the directory with its manifest")
    manifest = read_manifest(request.directory)
    name = check_name(request.name or manifest.name)
    for tag in request.tags:
        check_movable(tag)
    check_directory(request.directory, manifest)
    with scratch_directory("publish") as workspace:
        steps.begin("putting the release together")
        yield assemble(workspace, request, manifest, name), workspace


def refresh_index(store: Store) -> Index:
    """Brings the index and `latest` up to date, reading only versions it does not have."""
    try:
        known = read_index(store)
    except ArtifactError:
        known = None
    return Indexer(store).refresh(known)


def _already_there(store: Store, release: Release) -> Published | None:
    """The same release in the store, or None where the version is free.

    Raises:
        ReleaseError: The version is taken by another release.
    """
    version = Version.parse(release.version)
    record = read_record(store, release.name, version)
    if record is None:
        return None
    there = read_release(store, release.name, version, record[RELEASE_NAME])
    if not release.same_content(there):
        raise ReleaseError(
            f"{store.url} already has {release.name} {release.version} with other content "
            f"(published {there.published}), and versions never change: choose the next version"
        )
    return Published(there, already_there=True)


def _publish_files(store: Store, assembled: Assembled, steps: Steps) -> Published:
    steps.begin(f"uploading to {store.url}")
    digests = parse_record(assembled.record.encode(), "the new release")
    for path, digest in digests.items():
        _put_blob(store, assembled.directory / path, digest)
    _put_readme(store)
    steps.begin("making it visible")
    return _commit(store, assembled)


def _put_blob(store: Store, source: Path, digest: str) -> None:
    """Uploads a file unless its bytes are there; a damaged copy of them is replaced."""
    if _blob_digest(store, digest, source.stat().st_size) != digest:
        store.put_file(store_paths.blob(digest), source)


def _blob_digest(store: Store, digest: str, size: int) -> str | None:
    """SHA-256 of what the store has under a hash; None where it has nothing of that size."""
    found = hashlib.sha256()
    if size == 0:
        return None  # object stores know no range of an empty object
    try:
        for start in range(0, size, _BLOCK):
            block = store.read_range(store_paths.blob(digest), start, start + _BLOCK, size)
            found.update(block)
            if len(block) < _BLOCK:
                break
    except NotInStoreError:
        return None
    return found.hexdigest()


def _put_readme(store: Store) -> None:
    content = store_paths.README_TEXT.encode()
    try:
        there = store.read(store_paths.README, len(content) * 2)
    except NotInStoreError:
        there = b""
    if hash_bytes(there) != hash_bytes(content):
        store.put(store_paths.README, content)


def _commit(store: Store, assembled: Assembled) -> Published:
    """Creates the record; of several publishers one succeeds, the others compare with it."""
    release = assembled.release
    path = store_paths.record(release.name, Version.parse(release.version))
    content = assembled.record.encode()
    if store.put_new(path, content) and store.read(path, DOCUMENT_LIMIT) == content:
        return Published(release, already_there=False)
    there = _already_there(store, release)
    if there is None:
        raise ReleaseError(f"{store.url}/{path} was removed while it was written: publish again")
    return there

"""`sqsam-pull`: part of a release, verified, laid out in a directory that appears whole.

The order is the point: the record, then the document with its signature, then the files, each
compared with the hash that the one before gave; only what passed all of it is put in place.
"""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from semver import Version

from sqsam_deploy._internal.staging import staged_directory
from sqsam_deploy.artifact.files import FileEntry, hash_file
from sqsam_deploy.artifact.manifest import MANIFEST_NAME, ArtifactEntry
from sqsam_deploy.errors import ReleaseError, UsageError
from sqsam_deploy.release.cache import CachedFile
from sqsam_deploy.release.delivery import Delivery
from sqsam_deploy.release.document import Release
from sqsam_deploy.release.formats import find_format
from sqsam_deploy.release.lock import LockedModel
from sqsam_deploy.release.request import PullRequest
from sqsam_deploy.release.signature import requested_verifier
from sqsam_deploy.release.source import OpenedRelease, Source
from sqsam_deploy.release.version import parse_reference

#: Marks a directory as made by a pull, and lists what the pull put there. Both Gradle and the
#: Swift package manager leave names with a leading dot out of what they build.
RECEIPT_NAME = ".sqsam-pull.json"

#: Files that file managers leave in a folder, which nobody misses.
_LITTER = (".DS_Store", "Thumbs.db", "desktop.ini")

#: Called with the name and size in bytes of a download; returns what to call with its progress.
Watch = Callable[[str, int], Callable[[int], None]]


@dataclass(frozen=True)
class Pulled:
    """A release that was put in place.

    Attributes:
        files: Every file of the output directory.
    """

    opened: OpenedRelease
    artifacts: tuple[ArtifactEntry, ...]
    files: tuple[FileEntry, ...]

    @property
    def release(self) -> Release:
        """The release it came from."""
        return self.opened.release


def pull(
    source: Source, request: PullRequest, watch: Watch, pinned: Version | None = None
) -> Pulled:
    """Pulls what the request asks for.

    Args:
        source: Store and cache.
        request: With a reference.
        watch: Called with the name and size of each download.
        pinned: Highest released version of the model that the project had from this store.

    Raises:
        ReleaseError: The release does not exist, was tampered with, is not signed as asked, or
            `latest` names an older one than before.
        StoreError: The store cannot be reached, and the cache does not hold all of it.
        UsageError: Nothing in the release matches, or the output directory is another's.
    """
    reference = parse_reference(request.wanted)
    version = source.resolve(reference)
    if not request.allow_older:
        source.refuse_older(reference, version, pinned)
    opened = source.open(reference.name, version, requested_verifier(request))
    source.remember(reference, version)
    return _deliver(source, request, opened, watch)


def pull_locked(source: Source, locked: LockedModel, request: PullRequest, watch: Watch) -> Pulled:
    """Pulls exactly what a lock file pins, whatever tags say by now.

    Args:
        source: Store and cache.
        locked: What is pinned.
        request: Who must have signed it, the directory to put it in, and what is done to one that
            was changed. The lock answers everything else.
        watch: Called with the name and size of each download.

    Raises:
        ReleaseError: The store's release is not the pinned one, or lays out to other files.
    """
    opened = source.open(locked.name, Version.parse(locked.version), requested_verifier(request))
    if opened.sha256 != locked.release_sha256:
        raise ReleaseError(
            f"{locked.name} {locked.version} in {source.store.url} is not the one in the lock "
            f"file (release.json has SHA-256 {opened.sha256[:12]}…, locked is "
            f"{locked.release_sha256[:12]}…)"
        )
    wanted = replace(
        request, runtimes=locked.runtime, precisions=locked.precision, format=locked.format
    )
    return _deliver(source, wanted, opened, watch, expected=locked.files)


def _deliver(
    source: Source,
    request: PullRequest,
    opened: OpenedRelease,
    watch: Watch,
    expected: tuple[FileEntry, ...] | None = None,
) -> Pulled:
    chosen = find_format(request.format)
    artifacts = _select(opened, request)
    if not request.overwrite:
        _refuse_changes(request.directory)
    files = _fetch(source, opened, artifacts, watch)
    with staged_directory(request.directory, marker=RECEIPT_NAME) as staging:
        delivery = Delivery(opened, artifacts, files, staging)
        chosen.write(delivery)
        written = delivery.entries()
        if expected is not None and _pinned(written) != _pinned(expected):
            raise ReleaseError(
                "what the lock file pins cannot be made again: another version of sqsam-deploy "
                f"lays {request.format} out differently; pull without --locked to lock it anew"
            )
        _write_receipt(delivery, written)
    return Pulled(opened, artifacts, written)


def _pinned(files: Iterable[FileEntry]) -> dict[str, str]:
    """Each file as a lock file holds it: its hash, and of a manifest that it is there.

    The manifest is made of the release's own, which `release.json` pins; a later version of this
    package states more in it.
    """
    return {f.path: "" if PurePosixPath(f.path).name == MANIFEST_NAME else f.sha256 for f in files}


def _select(opened: OpenedRelease, request: PullRequest) -> tuple[ArtifactEntry, ...]:
    """The artifacts of the wanted runtimes and precisions.

    Raises:
        UsageError: The release has nothing of one of them.
    """
    chosen = tuple(
        artifact
        for artifact in opened.manifest.artifacts
        if artifact.metadata.runtime in (request.runtimes or (artifact.metadata.runtime,))
        and artifact.metadata.precision in (request.precisions or (artifact.metadata.precision,))
    )
    found = {a.metadata.runtime for a in chosen} | {a.metadata.precision for a in chosen}
    unmet = [name for name in (*request.runtimes, *request.precisions) if name not in found]
    if unmet:
        release = opened.release
        there = ", ".join(dict.fromkeys(f"{a.runtime} {a.precision}" for a in release.artifacts))
        raise UsageError(
            f"{release.name} {release.version} has no {' '.join(unmet)}: it has {there}"
        )
    return chosen


def _fetch(
    source: Source, opened: OpenedRelease, artifacts: tuple[ArtifactEntry, ...], watch: Watch
) -> dict[str, CachedFile]:
    """Verified local copies, by path: of the artifacts' files, and of the release's texts."""
    release = opened.release
    archives = (release.archive(artifact.path) for artifact in artifacts)
    sizes = (
        archive.bytes if archive else artifact.bytes
        for archive, artifact in zip(archives, artifacts, strict=True)
    )
    advance = watch(str(release.name), sum(sizes) + sum(text.bytes for text in release.texts))
    files = [
        file for artifact in artifacts for file in source.fetch_artifact(release, artifact, advance)
    ]
    files += [source.fetch(text, advance) for text in release.texts]
    return {file.entry.path: file for file in files}


def _refuse_changes(output: Path) -> None:
    """A directory of an earlier pull is replaced whole: what was done to it would be lost.

    Raises:
        UsageError: A file or a link was added, or a file is not the one that was pulled.
    """
    receipt = output / RECEIPT_NAME
    if not receipt.is_file():
        return  # staged_directory refuses any directory with content but without a receipt
    try:
        known = dict(json.loads(receipt.read_bytes())["files"])
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UsageError(
            f"{receipt} is damaged: remove {output}, pull elsewhere, or give --overwrite"
        ) from None
    folders = {parent.as_posix() for name in known for parent in PurePosixPath(name).parents}
    for path in sorted(output.rglob("*")):
        name = path.relative_to(output).as_posix()
        if path.name in _LITTER and not path.is_dir() and name not in known:
            continue
        if path.is_symlink() or name not in (*known, *folders, RECEIPT_NAME):
            raise _would_be_lost(path, "was not put there by a pull")
        if name in known and (not path.is_file() or hash_file(path) != known[name]):
            raise _would_be_lost(path, "was changed since it was pulled")


def _would_be_lost(path: Path, reason: str) -> UsageError:
    return UsageError(f"{path} {reason} and would be lost: move it elsewhere, or give --overwrite")


def _write_receipt(delivery: Delivery, files: tuple[FileEntry, ...]) -> None:
    release = delivery.opened.release
    content = {
        "name": release.name,
        "version": release.version,
        "release_sha256": delivery.opened.sha256,
        "files": {entry.path: entry.sha256 for entry in files},
    }
    delivery.write(RECEIPT_NAME, (json.dumps(content, indent=2) + "\n").encode())

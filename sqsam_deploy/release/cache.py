"""Files by their content on this machine: downloaded once, verified at every use.

blobs/sha256/ab/abcd…    whole files
partial/abcd…            what a cut-off download left; the next one goes on from there
records/STORE/…          which files a version has, and what tags last named, for offline use
"""

import errno
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqsam_deploy._internal.cache import CACHE_VARIABLE
from sqsam_deploy._internal.temporary import naming, remove_abandoned, temporary_file
from sqsam_deploy.artifact.files import FileEntry, hash_bytes, hash_file
from sqsam_deploy.artifact.manifest import ArtifactEntry
from sqsam_deploy.errors import ReleaseError, StoreError
from sqsam_deploy.release import store_paths
from sqsam_deploy.release.archive import copy_verified, unpack
from sqsam_deploy.release.download import Advance, download, file_identity, is_ours, stamp
from sqsam_deploy.release.store import Store

_READ_ONLY = (errno.EROFS, errno.EACCES, errno.EPERM)


@dataclass(frozen=True)
class CachedFile:
    """A file of the cache, and what the file system said of it when it was verified.

    Attributes:
        entry: What it was verified against.
        status: `os.stat` of it then: whoever writes to it or replaces it changes that.
    """

    path: Path
    entry: FileEntry
    status: os.stat_result

    def place(self, target: Path) -> None:
        """Puts the verified bytes at `target`: as a hard link where nobody else may change it.

        Copying would write every byte a second time, and half of a pull's time is writing. A file
        of another user in a shared cache is copied, and hashed on the way: its owner could still
        write to it through the cache when it is in place.

        Raises:
            ReleaseError: The file in the cache is not the one that was verified any more.
            FileExistsError: There is something at `target`.
        """
        if not is_ours(self.status) or not self._link(target):
            self.copy(target)

    def copy(self, target: Path) -> None:
        """Copies the verified bytes to `target`, a new file that may be edited.

        Raises:
            ReleaseError: The file in the cache is not the one that was verified any more.
            FileExistsError: There is something at `target`.
        """
        with self.path.open("rb") as source, target.open("xb") as sink:
            if not copy_verified(source, sink, self.entry):
                raise self._changed()

    def _link(self, target: Path) -> bool:
        """False where a link does not reach: onto another file system, mostly."""
        status = self.path.lstat()
        # Another pull that makes or removes a link changes the time of the last change, too.
        if file_identity(status) != file_identity(self.status) and not _holds(
            self.path, status, self.entry
        ):
            raise self._changed()
        try:
            target.hardlink_to(self.path)
        except FileExistsError:
            raise
        except OSError:
            return False
        if file_identity(target.lstat())[:-1] != file_identity(status)[:-1]:
            target.unlink()
            raise self._changed()
        return True

    def _changed(self) -> ReleaseError:
        return ReleaseError(
            f"{self.entry.path} was changed in the cache ({self.path}) after it was verified: "
            "find out by whom, and pull again"
        )


class Cache:
    """A directory of verified files; several processes may use it at once."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def fetch(self, store: Store, entry: FileEntry, advance: Advance) -> CachedFile:
        """A local file with exactly these bytes, from the cache or from the store.

        Args:
            store: Where to get what is missing.
            entry: The file, by hash and size.
            advance: Called with the progress in bytes.

        Raises:
            ReleaseError: The store's file is not the one the entry describes.
            StoreError: The store cannot be reached; what came so far is kept.
        """
        with self._lock(entry.sha256):
            return self._fetch(store, entry, advance)

    def fetch_archived(
        self, store: Store, archive: FileEntry, artifact: ArtifactEntry, advance: Advance
    ) -> list[CachedFile]:
        """The files of a package directory that version 1 of the format stored as a zip.

        Args:
            store: Where to get what is missing.
            archive: The zip, by hash and size.
            artifact: What is in it, from a manifest that was itself verified.
            advance: Called with the progress in bytes of the zip.

        Raises:
            ReleaseError: The archive is not that, holds anything else, or is damaged.
            StoreError: The store cannot be reached; what came so far is kept.
        """
        with self._lock(archive.sha256):
            found = [self._find(entry) for entry in artifact.files]
            there = [file for file in found if file is not None]
            if len(there) == len(found):
                advance(archive.bytes)
                return there
            return self._unpack(self._fetch(store, archive, advance), artifact)

    def _fetch(self, store: Store, entry: FileEntry, advance: Advance) -> CachedFile:
        found = self._find(entry)
        if found is not None:
            advance(entry.bytes)
            return found
        partial = self._partial(entry)
        try:
            partial.parent.mkdir(parents=True, exist_ok=True)
            with naming(partial):
                download(store, entry, partial, advance)
            return self._keep(partial, entry)
        except OSError as error:
            if error.errno not in _READ_ONLY:
                raise
            raise StoreError(
                f"{entry.path} is not in the cache, and {self.root} cannot be written: name "
                f"another folder in {CACHE_VARIABLE}"
            ) from None

    def _unpack(self, archive: CachedFile, artifact: ArtifactEntry) -> list[CachedFile]:
        folder = self._partial(archive.entry).with_suffix(".unpacked")
        shutil.rmtree(folder, ignore_errors=True)  # of a killed pull
        try:
            folder.mkdir(parents=True)
            unpack(archive.path, artifact, folder)
            files = [self._keep(folder / entry.path, entry) for entry in artifact.files]
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        archive.path.unlink()
        return files

    def document(self, store: Store, digest: str, limit: int) -> bytes:
        """A small file of unknown size, by its hash.

        Raises:
            ReleaseError: The store's bytes have another hash.
            StoreError: The store cannot be reached, or the file has more than `limit` bytes.
        """
        target = self.root / store_paths.blob(digest)
        if target.is_file() and target.stat().st_size <= limit:
            content = target.read_bytes()
            if hash_bytes(content) == digest:
                return content
        content = store.read(store_paths.blob(digest), limit)
        if hash_bytes(content) != digest:
            raise ReleaseError(_not_the_file(store, digest))
        with _unless_read_only():
            self._put(target, content)
        return content

    def remember(self, store: Store, path: str, content: bytes) -> None:
        """Keeps a record or a tag for when the store cannot be reached."""
        if self.recall(store, path) == content:
            return
        with _unless_read_only():
            self._put(self._record(store, path), content)

    def recall(self, store: Store, path: str) -> bytes | None:
        """The bytes kept under this path of this store, or None."""
        record = self._record(store, path)
        return record.read_bytes() if record.is_file() else None

    def _record(self, store: Store, path: str) -> Path:
        return self.root / "records" / hash_bytes(store.url.encode())[:16] / path

    def _blob(self, entry: FileEntry) -> Path:
        return self.root / store_paths.blob(entry.sha256)

    def _put(self, target: Path, content: bytes) -> None:
        partial = self.root / "partial"
        partial.mkdir(parents=True, exist_ok=True)
        target.parent.mkdir(parents=True, exist_ok=True)
        remove_abandoned(partial)
        # Not synced: what a power cut damaged is told by its hash or its form, and read again.
        with naming(target), temporary_file(partial, target.name) as written:
            written.write_bytes(content)
            written.replace(target)

    def _partial(self, entry: FileEntry) -> Path:
        return self.root / "partial" / entry.sha256

    def _find(self, entry: FileEntry) -> CachedFile | None:
        """The file if the cache has it, undamaged."""
        path = self._blob(entry)
        try:
            status = path.lstat()
        except FileNotFoundError:
            return None
        return CachedFile(path, entry, status) if _holds(path, status, entry) else None

    def _keep(self, path: Path, entry: FileEntry) -> CachedFile:
        """Moves a verified file to its place, where pulled directories link to it: read-only."""
        target = self._blob(entry)
        target.parent.mkdir(parents=True, exist_ok=True)
        path.replace(target)
        # Not before: what a pull killed in between left could not be opened for writing.
        target.chmod(0o444)
        stamp(target)
        return CachedFile(target, entry, target.lstat())

    @contextmanager
    def _lock(self, digest: str) -> Iterator[None]:
        """Two pulls of one file take turns; a killed one's lock is the system's to release."""
        from filelock import FileLock

        folder = self.root / "locks"
        lock = None
        with _unless_read_only():
            folder.mkdir(parents=True, exist_ok=True)
            lock = FileLock(folder / digest)
            lock.acquire()
        try:
            yield
        finally:
            if lock is not None:
                lock.release()


@contextmanager
def _unless_read_only() -> Iterator[None]:
    """A complete cache serves without being written: nothing is lost but what would be kept."""
    try:
        yield
    except OSError as error:
        if error.errno not in _READ_ONLY:
            raise


def _holds(path: Path, status: os.stat_result, entry: FileEntry) -> bool:
    plain = stat.S_ISREG(status.st_mode) and status.st_size == entry.bytes
    return plain and hash_file(path) == entry.sha256


def _not_the_file(store: Store, digest: str) -> str:
    return (
        f"a document in {store.url} is not the file that was published (its SHA-256 is not "
        f"{digest[:12]}…): it is refused"
    )

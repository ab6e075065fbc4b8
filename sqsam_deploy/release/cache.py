"""Files by their content on this machine: downloaded once, verified at every use.

blobs/sha256/ab/abcd…    whole files
partial/abcd…            what a cut-off download left; the next one goes on from there
records/STORE/…          which files a version has, and what tags last named, for offline use
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from sqsam_deploy.errors import MissingDependencyError, ReleaseError, StoreError
from sqsam_deploy.release import layout
from sqsam_deploy.release.files import FileEntry, hash_bytes, hash_file, write_whole
from sqsam_deploy.release.store import NotInStoreError, Store

#: Environment variable that moves the cache.
CACHE_VARIABLE = "SQSAM_CACHE"
#: Bytes asked for at once: what a cut-off download loses at most.
CHUNK = 4 << 20
#: How often one piece is asked for before the download is given up.
_TRIES = 3
_PAUSE_SECONDS = 0.2

Advance = Callable[[int], None]


def default_cache() -> Path:
    """`$SQSAM_CACHE`, or this user's cache directory for this program."""
    from platformdirs import user_cache_path

    override = os.environ.get(CACHE_VARIABLE)
    return Path(override) if override else user_cache_path("sqsam", appauthor=False)


class Cache:
    """A directory of verified files; several processes may use it at once."""

    def __init__(self, root: Path) -> None:
        self.root = root.absolute()

    def fetch(self, store: Store, entry: FileEntry, advance: Advance) -> Path:
        """A local file with exactly these bytes, from the cache or from the store.

        Args:
            store: Where to get what is missing.
            entry: The file, by hash and size.
            advance: Told how many bytes came closer.

        Raises:
            ReleaseError: The store's file is not the one the entry describes.
            StoreError: The store cannot be reached; what came so far is kept.
        """
        target = self.root / layout.blob(entry.sha256)
        with self._lock(entry.sha256):
            if _holds(target, entry):
                advance(entry.bytes)
                return target
            target.unlink(missing_ok=True)
            partial = self.root / "partial" / entry.sha256
            partial.parent.mkdir(parents=True, exist_ok=True)
            self._complete(store, entry, partial, advance)
            target.parent.mkdir(parents=True, exist_ok=True)
            partial.chmod(0o444)  # pulled directories link to it
            partial.replace(target)
        return target

    def document(self, store: Store, digest: str, limit: int) -> bytes:
        """A small file of unknown size, by its hash.

        Raises:
            ReleaseError: The store's bytes have another hash.
            StoreError: The store cannot be reached, or the file has more than `limit` bytes.
        """
        target = self.root / layout.blob(digest)
        if target.is_file() and hash_file(target) == digest:
            return target.read_bytes()
        content = store.read(layout.blob(digest), limit)
        if hash_bytes(content) != digest:
            raise ReleaseError(_not_the_file(store, digest))
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, content)
        return content

    def remember(self, store: Store, path: str, content: bytes) -> None:
        """Keeps a record or a tag for when the store cannot be reached."""
        target = self._record(store, path)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target, content)

    def recall(self, store: Store, path: str) -> bytes | None:
        """What was kept under this path of this store, or None."""
        try:
            return self._record(store, path).read_bytes()
        except FileNotFoundError:
            return None

    def _record(self, store: Store, path: str) -> Path:
        return self.root / "records" / hash_bytes(store.url.encode())[:16] / path

    def _complete(self, store: Store, entry: FileEntry, partial: Path, advance: Advance) -> None:
        resumed = partial.exists()
        if _download(store, entry, partial, advance) == entry.sha256:
            return
        partial.unlink()
        if resumed:  # the old half may have been of other bytes: once more from the start
            advance(-entry.bytes)
            if _download(store, entry, partial, advance) == entry.sha256:
                return
            partial.unlink()
        raise ReleaseError(_not_the_file(store, entry.sha256, entry.path))

    @contextmanager
    def _lock(self, digest: str) -> Iterator[None]:
        """Two pulls of one file take turns; a killed one's lock is the system's to release."""
        try:
            from filelock import FileLock
        except ImportError:
            raise MissingDependencyError(
                "releases need the package 'filelock': pip install 'sqsam-deploy[release]'"
            ) from None
        folder = self.root / "locks"
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / digest):
            yield


def _holds(path: Path, entry: FileEntry) -> bool:
    if not path.is_file() or path.stat().st_size != entry.bytes:
        return False
    return hash_file(path) == entry.sha256


def _not_the_file(store: Store, digest: str, name: str = "a document") -> str:
    return (
        f"{name} in {store.url} is not the file that was published (its SHA-256 is not "
        f"{digest[:12]}…): it is refused"
    )


def _download(store: Store, entry: FileEntry, partial: Path, advance: Advance) -> str:
    """Appends what is missing to `partial` and returns the hash of the whole."""
    digest = hashlib.sha256()
    with partial.open("a+b") as file:
        done = _rehash(file, entry, digest)
        advance(done)
        while done < entry.bytes:
            whole, block = _next_block(store, entry, done)
            if whole:
                digest = hashlib.sha256()
                file.truncate(0)
                advance(-done)
                done = 0
            digest.update(block)
            file.write(block)
            done += len(block)
            advance(len(block))
    return digest.hexdigest()


def _rehash(file: IO[bytes], entry: FileEntry, digest: "hashlib._Hash") -> int:
    """Bytes that an earlier download left; what is too long is thrown away."""
    file.seek(0, os.SEEK_END)
    if file.tell() > entry.bytes:
        file.truncate(0)
    file.seek(0)
    while block := file.read(CHUNK):
        digest.update(block)
    return file.tell()


def _next_block(store: Store, entry: FileEntry, done: int) -> tuple[bool, bytes]:
    """The next piece, and whether it is the whole file: some servers know no ranges."""
    wanted = min(CHUNK, entry.bytes - done)
    block = _read_piece(store, entry, done, done + wanted)
    if len(block) == entry.bytes and wanted < entry.bytes:
        return True, block
    if not block or len(block) > wanted:
        raise ReleaseError(
            f"{entry.path} in {store.url} is cut off or too long: {len(block)} bytes came where "
            f"{wanted} were asked for, of {entry.bytes} in all"
        )
    return False, block


def _read_piece(store: Store, entry: FileEntry, start: int, end: int) -> bytes:
    for attempt in range(_TRIES):
        try:
            return store.read_range(layout.blob(entry.sha256), start, end)
        except NotInStoreError:
            raise
        except StoreError:
            if attempt == _TRIES - 1:
                raise
            time.sleep(_PAUSE_SECONDS * 2**attempt)
    raise AssertionError("the loop returns or raises")

"""Downloading one file of a store, chunk by chunk, hashed on the way."""

import hashlib
import os
import stat
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from sqsam_deploy.artifact.files import FileEntry
from sqsam_deploy.errors import ReleaseError, StoreError
from sqsam_deploy.release import store_paths
from sqsam_deploy.release.http import NotInStoreError, UnresponsiveError
from sqsam_deploy.release.store import Store

#: Bytes asked for at once: what a cut-off download loses at most.
CHUNK = 4 << 20
#: How often one chunk is asked for before the download is given up.
_TRIES = 3
_PAUSE_SECONDS = 0.2
_BLOCK = 1 << 20
#: Bytes written by one call. On ext4, 40 MB take 9 ms like this, and from 7 to 109 ms in calls of
#: 256 KiB and more: Linux then looks for free memory in pieces as large.
_WRITE = 64 << 10

#: Called with the number of bytes that came; a negative one where some have to come again.
Advance = Callable[[int], None]


def download(store: Store, entry: FileEntry, partial: Path, advance: Advance) -> None:
    """Completes a partly downloaded file and compares it with its hash.

    Args:
        store: The store that has the file, as the blob of its hash.
        entry: The file, by hash and size.
        partial: What an earlier download left, or nothing yet; the whole file afterwards.
        advance: Called with the progress.

    Raises:
        ReleaseError: The store's file is another one; nothing of it is kept.
        StoreError: The store cannot be reached; what came so far is kept.
    """
    with _Partial(partial, entry) as file:
        left = file.size
        digest = _complete(store, entry, file, advance)
        if digest != entry.sha256 and left:
            # What was left may have been of other bytes: once more from the start.
            file.clear()
            advance(-entry.bytes)
            digest = _complete(store, entry, file, advance)
        if digest != entry.sha256:
            partial.unlink()
            advance(-entry.bytes)
            raise ReleaseError(
                f"{entry.path} in {store.url} is not the file that was published (its SHA-256 is "
                f"not {entry.sha256[:12]}…): it is refused"
            )
        file.check()


class _Partial:
    """A file that grows while its bytes are hashed, and that nobody else may touch meanwhile."""

    def __init__(self, path: Path, entry: FileEntry) -> None:
        self._path, self._entry = path, entry
        if _is_foreign(path) or (path.exists() and path.stat().st_size > entry.bytes):
            path.unlink()
        # A link that somebody leaves in a shared cache just now is not followed.
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
        self._file = os.open(path, flags, 0o644)
        self._stamp()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._file)

    @property
    def size(self) -> int:
        """Bytes that are there."""
        return self._status.st_size

    def left(self) -> Iterator[bytes]:
        """The bytes that are there, in order."""
        os.lseek(self._file, 0, os.SEEK_SET)
        while block := os.read(self._file, _BLOCK):
            yield block

    def append(self, block: bytes) -> None:
        """Writes what comes next."""
        self.check()
        view = memoryview(block)
        for start in range(0, len(view), _WRITE):
            self._write(view[start : start + _WRITE])
        self._stamp()

    def clear(self) -> None:
        """Throws away what is there."""
        os.truncate(self._file, 0)
        self._stamp()

    def sync(self) -> Callable[[], None]:
        """A function that waits until what was written is on the disk, to be called once."""
        handle = os.dup(self._file)  # this file may be closed by then

        def wait() -> None:
            try:
                os.fsync(handle)
            finally:
                os.close(handle)

        return wait

    def check(self) -> None:
        """Refuses a file that somebody else wrote to or replaced.

        Raises:
            ReleaseError: Its bytes may not be the ones that were hashed.
        """
        if file_identity(self._path.lstat()) != file_identity(self._status):
            raise ReleaseError(
                f"{self._path} was changed while {self._entry.path} was written to it: find out "
                "by whom, and pull again"
            )

    def _write(self, block: memoryview) -> None:
        while block:
            block = block[os.write(self._file, block) :]

    def _stamp(self) -> None:
        stamp(self._file)
        self._status = os.fstat(self._file)


def stamp(file: int | Path) -> None:
    """Sets a file's time to the very nanosecond, so that any later write changes it.

    The clock that the kernel stamps files with ticks every few milliseconds: of two writes in one
    tick the second would not show.
    """
    now = time.time_ns()
    os.utime(file, ns=(now, now))


def file_identity(status: os.stat_result) -> tuple[int, ...]:
    """The properties that replacing a file or writing to it changes.

    The last of them is the time of the last change, which also changes with links to the file.
    """
    times = (status.st_mtime_ns, status.st_ctime_ns)
    return (status.st_dev, status.st_ino, status.st_size, *times)


def is_ours(status: os.stat_result) -> bool:
    """Whether no other user than this one (and root) can write to a read-only file."""
    return not hasattr(os, "geteuid") or status.st_uid == os.geteuid()


def _is_foreign(path: Path) -> bool:
    try:
        status = path.lstat()
    except FileNotFoundError:
        return False
    return not stat.S_ISREG(status.st_mode) or not is_ours(status)


def _complete(store: Store, entry: FileEntry, file: _Partial, advance: Advance) -> str:
    """Appends what is missing; the SHA-256 of the whole file.

    Hashing takes as long as reading and writing, and syncing what was written is what a pull
    waits for before its result appears: each has a thread beside this one.
    """
    syncer = ThreadPoolExecutor(1)
    with ThreadPoolExecutor(1) as hasher, _not_waiting(syncer):
        digest = hashlib.sha256()
        for left in file.left():
            digest.update(left)
        done = file.size
        advance(done)
        hashed = synced = hasher.submit(digest.update, b"")
        while done < entry.bytes:
            whole, block = _next_block(store, entry, done)
            hashed.result()
            if whole:
                file.clear()
                digest = hashlib.sha256()
                advance(-done)
                done = 0
            hashed = hasher.submit(digest.update, block)
            file.append(block)
            done += len(block)
            advance(len(block))
            if synced.done():
                synced = syncer.submit(file.sync())
        hashed.result()
        return digest.hexdigest()


@contextmanager
def _not_waiting(executor: ThreadPoolExecutor) -> Iterator[None]:
    """The disk's last work for a file is done while the next one is fetched."""
    try:
        yield
    finally:
        executor.shutdown(wait=False)


def _next_block(store: Store, entry: FileEntry, done: int) -> tuple[bool, bytes]:
    """The next chunk, and whether it is the whole file: some servers know no ranges."""
    wanted = min(CHUNK, entry.bytes - done)
    block = _read_chunk(store, entry, done, done + wanted)
    if len(block) == entry.bytes and wanted < entry.bytes:
        return True, block
    if len(block) != wanted:
        raise ReleaseError(
            f"{entry.path} in {store.url} is cut off or too long: {len(block)} bytes came where "
            f"{wanted} were asked for, of {entry.bytes} in all"
        )
    return False, block


def _read_chunk(store: Store, entry: FileEntry, start: int, end: int) -> bytes:
    for attempt in range(_TRIES):
        try:
            return store.read_range(store_paths.blob(entry.sha256), start, end, entry.bytes)
        except (NotInStoreError, UnresponsiveError):
            raise
        except StoreError:
            if attempt == _TRIES - 1:
                raise
            time.sleep(_PAUSE_SECONDS * 2**attempt)
    raise AssertionError("the loop returns or raises")

"""Bringing one file of a store nearer, piece by piece, and hashing it on the way."""

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Self

from sqsam_deploy.artifact.files import FileEntry, sync_files
from sqsam_deploy.errors import ReleaseError, StoreError
from sqsam_deploy.release import layout
from sqsam_deploy.release.pieces import Pieces, PieceSums, RunningSums
from sqsam_deploy.release.store import NotInStoreError, Store

#: Bytes asked for at once: what a cut-off download loses at most.
CHUNK = 4 << 20
#: How often one chunk is asked for before the download is given up.
_TRIES = 3
_PAUSE_SECONDS = 0.2

Advance = Callable[[int], None]


def download(
    store: Store,
    entry: FileEntry,
    pieces: Pieces,
    is_right: Callable[[tuple[PieceSums, ...]], bool],
    advance: Advance,
) -> bool:
    """Appends what is missing, and judges the whole.

    Args:
        store: Where the file is.
        entry: The file, by hash and size.
        pieces: Where it goes.
        is_right: Whether pieces with these sums are the published ones.
        advance: Told how many bytes came closer.

    Returns:
        Whether the right bytes came; if not, the pieces are removed and nothing came closer.

    Raises:
        ReleaseError: The store's file has another size.
        StoreError: The store cannot be reached; what came so far is kept.
    """
    left = pieces.done
    right = is_right(_complete(store, entry, pieces, advance))
    if not right and left:
        # What was left may have been of other bytes: once more from the start.
        pieces.clear()
        advance(-entry.bytes)
        right = is_right(_complete(store, entry, pieces, advance))
    if not right:
        pieces.remove()
        advance(-entry.bytes)
    return right


def _complete(
    store: Store, entry: FileEntry, pieces: Pieces, advance: Advance
) -> tuple[PieceSums, ...]:
    with _Summing(pieces.sizes) as summing, _Syncing() as syncing:
        for block in pieces.left():
            summing.update(block)
        advance(pieces.done)
        while pieces.done < entry.bytes:
            whole, block = _next_block(store, entry, pieces.done)
            if whole:
                advance(-pieces.done)
                pieces.clear()
                summing.restart()
            summing.update(block)
            syncing.update(pieces.append(block))
            advance(len(block))
        return summing.finish()


class _Syncing:
    """Lets the disk begin what a pull waits for before its result appears: `fsync` of all of it."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1)
        self._running: Future[None] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(wait=False)

    def update(self, paths: Sequence[Path]) -> None:
        """These were written to; nothing happens while the disk is still busy with others."""
        if self._running is None or self._running.done():
            self._running = self._thread.submit(sync_files, paths)


class _Summing:
    """Sums of pieces, made beside the thread that reads and writes: hashing takes as long."""

    def __init__(self, sizes: Sequence[int]) -> None:
        self._sizes = sizes
        self._thread = ThreadPoolExecutor(1)
        self._running: Future[None] | None = None
        self.restart()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown()

    def restart(self) -> None:
        """Forgets what came so far."""
        self._wait()
        self._sums = RunningSums(self._sizes)

    def update(self, block: bytes) -> None:
        """Takes what comes next, once what came before is done."""
        self._wait()
        self._running = self._thread.submit(self._sums.update, block)

    def finish(self) -> tuple[PieceSums, ...]:
        """The sums of all that came."""
        self._wait()
        return self._sums.finish()

    def _wait(self) -> None:
        if self._running is not None:
            self._running.result()


def _next_block(store: Store, entry: FileEntry, done: int) -> tuple[bool, bytes]:
    """The next chunk, and whether it is the whole file: some servers know no ranges."""
    wanted = min(CHUNK, entry.bytes - done)
    block = _read_chunk(store, entry, done, done + wanted)
    if len(block) == entry.bytes and wanted < entry.bytes:
        return True, block
    if not block or len(block) > wanted:
        raise ReleaseError(
            f"{entry.path} in {store.url} is cut off or too long: {len(block)} bytes came where "
            f"{wanted} were asked for, of {entry.bytes} in all"
        )
    return False, block


def _read_chunk(store: Store, entry: FileEntry, start: int, end: int) -> bytes:
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

"""Files that appear whole or not at all."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

from sqsam_deploy._internal.temporary import naming, remove_abandoned, temporary_file


@contextmanager
def atomic_file(path: Path, folder: Path | None = None) -> Iterator[Path]:
    """A temporary file, to be written, that takes the file's place when the block ends.

    No reader ever sees half of it, also when the process is killed or the power fails; where the
    block raises, what stood at `path` stands there unchanged. A symbolic link stays one: the file
    that it points to is replaced.

    Args:
        path: The file to make or to replace.
        folder: Where the temporary file lies, on the same file system; None is beside the file.

    Raises:
        OSError: The disk is full or the folder cannot be written.
    """
    path = Path(os.path.realpath(path))
    with _temporary(path, folder) as partial:
        yield partial
        sync(partial)
        partial.replace(path)


def atomic_write(path: Path, content: bytes, folder: Path | None = None) -> None:
    """Writes a file that appears, or takes the place of an older one, in one step.

    Raises:
        OSError: The disk is full or the folder cannot be written.
    """
    with atomic_file(path, folder) as partial:
        partial.write_bytes(content)


def atomic_create(path: Path, content: bytes, folder: Path | None = None) -> bool:
    """Writes a file that appears in one step, if there is none; says whether it did.

    Of several processes that try it at once exactly one succeeds.

    Raises:
        OSError: The disk is full, or the file system has no hard links.
    """
    with _temporary(path, folder) as partial:
        partial.write_bytes(content)
        sync(partial)
        try:
            path.hardlink_to(partial)
        except FileExistsError:
            return False
        return True


def sync(path: Path) -> None:
    """Waits until a file or directory is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def sync_directory(path: Path) -> None:
    """Makes a new name last through a power cut; Windows has no such call and needs none."""
    if os.name != "nt":
        sync(path)


@contextmanager
def _temporary(path: Path, folder: Path | None) -> Iterator[Path]:
    folder = folder or path.parent
    _tidy(folder)
    with naming(path), temporary_file(folder, path.name) as partial:
        yield partial


@cache
def _tidy(folder: Path) -> None:
    """Once a run: a folder may hold thousands of files, and get thousands more."""
    remove_abandoned(folder, ".")

"""Directories that appear whole or not at all."""

import ctypes
import errno
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqsam_deploy._internal.atomic import sync
from sqsam_deploy._internal.temporary import naming, remove_abandoned, temporary_directory
from sqsam_deploy.errors import UsageError

_AT_FDCWD = {"linux": -100, "darwin": -2}
#: `RENAME_EXCHANGE` of Linux's renameat2(2) and `RENAME_SWAP` of macOS's renameatx_np(2).
_SWAP_FLAG = 2


@contextmanager
def staged_directory(target: Path, marker: str) -> Iterator[Path]:
    """A temporary sibling of `target` that takes its place when the block ends without an error.

    Whatever stood at `target` stands there, unchanged, until that one moment, also when the
    process is killed. Left-overs of a killed run are removed by the next one. A symbolic link
    stays one: the directory that it points to is replaced.

    Args:
        target: The directory to make or to replace.
        marker: A file that an earlier result holds; a directory with content but without it is
            not one of ours and is not replaced.

    Raises:
        UsageError: `target` is a file, or a directory of something else.
    """
    if "\0" in str(target):
        raise UsageError(f"{str(target)!r} cannot be a directory: it holds a NUL character")
    target = Path(os.path.realpath(target))
    refuse_foreign(target, marker)
    target.parent.mkdir(parents=True, exist_ok=True)
    remove_abandoned(target.parent, ".")
    with naming(target), temporary_directory(target.parent, target.name) as staging:
        staging.chmod(0o755)
        yield staging
        _sync_tree(staging)
        _take_place(staging, target)


def _refuse_file(directory: Path) -> None:
    """Refuses a file where a directory for results is named.

    Raises:
        UsageError: It is one, or lies in one.
    """
    for path in (directory, *directory.parents):
        if path.exists() and not path.is_dir():
            raise UsageError(f"{path} is a file: choose another directory")


def require_writable(directory: Path) -> None:
    """Refuses a directory for results that could not be written, before they are worked out.

    Nothing is made: the nearest directory that is there is looked at.

    Raises:
        UsageError: It is a file, or lies in one.
        PermissionError: It may not be written.
    """
    _refuse_file(directory)
    absolute = directory.absolute()
    there = next(path for path in (absolute, *absolute.parents) if path.exists())
    if not os.access(there, os.W_OK | os.X_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(directory))


def refuse_foreign(target: Path, marker: str) -> None:
    """Refuses a directory of something else where one for results is named.

    Raises:
        UsageError: It is a file or a broken link, or has content but no `marker`.
    """
    if target.is_symlink():  # after links were followed: it points to itself
        raise UsageError(f"{target} is a link that leads nowhere: choose another output directory")
    _refuse_file(target)
    if not target.exists():
        return
    if any(target.iterdir()) and not (target / marker).is_file():
        raise UsageError(
            f"{target} holds other files and no {marker}, so it is not replaced: "
            "choose another output directory"
        )


def _sync_tree(directory: Path) -> None:
    for path in (*directory.rglob("*"), directory):
        sync(path)


def _take_place(staging: Path, target: Path) -> None:
    try:
        staging.rename(target)  # where there is nothing yet, or an empty directory
        return
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    if not _swap(staging, target):
        # No atomic exchange on this system: the old one stays beside until the new one stands.
        retired = staging.with_name(f"{staging.name}_old")
        target.rename(retired)
        staging.rename(target)
        shutil.rmtree(retired, ignore_errors=True)


def _swap(a: Path, b: Path) -> bool:
    """Exchanges two paths in one step; False where the system or file system cannot."""
    name = {"linux": "renameat2", "darwin": "renameatx_np"}.get(sys.platform)
    function = getattr(ctypes.CDLL(None, use_errno=True), name, None) if name else None
    if function is None:
        return False
    here = _AT_FDCWD[sys.platform]
    status: int = function(here, os.fsencode(a), here, os.fsencode(b), _SWAP_FLAG)
    return status == 0

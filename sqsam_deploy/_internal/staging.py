"""Directories that appear whole or not at all."""

import ctypes
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqsam_deploy.errors import UsageError

_AT_FDCWD = {"linux": -100, "darwin": -2}
#: `RENAME_EXCHANGE` of Linux's renameat2(2) and `RENAME_SWAP` of macOS's renameatx_np(2).
_SWAP_FLAG = 2


@contextmanager
def staged_directory(target: Path, marker: str) -> Iterator[Path]:
    """A temporary sibling of `target` that takes its place when the block ends without an error.

    Whatever stood at `target` stands there, unchanged, until that one moment, also when the
    process is killed. Left-overs of a killed run are removed by the next one.

    Args:
        target: The directory to make or to replace.
        marker: A file that an earlier result holds; a directory with content but without it is
            not one of ours and is not replaced.

    Raises:
        UsageError: `target` is a file, or a directory of something else.
    """
    target = target.absolute()
    _refuse_foreign(target, marker)
    target.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{target.name}.partial-"
    for leftover in target.parent.glob(f"{prefix}*"):
        if not _in_use(leftover):
            shutil.rmtree(leftover, ignore_errors=True)
    staging = Path(tempfile.mkdtemp(prefix=f"{prefix}{os.getpid()}-", dir=target.parent))
    try:
        staging.chmod(0o755)
        yield staging
        _sync_tree(staging)
        _take_place(staging, target)
    finally:
        shutil.rmtree(staging, ignore_errors=True)


def _refuse_foreign(target: Path, marker: str) -> None:
    if not target.exists():
        return
    if not target.is_dir():
        raise UsageError(f"{target} is a file: choose another output directory")
    if any(target.iterdir()) and not (target / marker).is_file():
        raise UsageError(
            f"{target} holds other files and no {marker}, so it is not replaced: "
            "choose another output directory"
        )


def _in_use(staging: Path) -> bool:
    """Whether the process whose number the name carries still lives."""
    try:
        os.kill(int(staging.name.split("partial-")[1].split("-")[0]), 0)
    except (ValueError, ProcessLookupError):
        return False
    except PermissionError:
        pass
    return True


def _sync_tree(directory: Path) -> None:
    for path in (*directory.rglob("*"), directory):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _take_place(staging: Path, target: Path) -> None:
    if not target.exists():
        staging.rename(target)
    elif not _swap(staging, target):
        # No atomic exchange on this system: the old one stays beside until the new one stands.
        retired = staging.with_name(f"{staging.name}-old")
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

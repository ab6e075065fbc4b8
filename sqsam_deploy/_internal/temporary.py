"""Temporary files and directories that the next run removes if this one is killed.

Their names say which process of which machine made them, and that process holds a lock on them,
which the system releases when it ends: other users of a shared folder, in containers and on other
machines, leave them alone until then.
"""

import contextlib
import os
import re
import secrets
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_HOST = re.sub(r"[^A-Za-z0-9-]", "_", socket.gethostname())
#: Age after which a file of another machine is taken for abandoned.
_UNTOUCHED_SECONDS = 3600.0
_SCRATCH = "sqsam-"
_PARTIAL = ".partial-"
#: Names of no other shape are ever removed. The second of two is a directory about to be removed.
_MADE_BY = re.compile(
    r"(?:\.partial-|^sqsam-[a-z]+-)([A-Za-z0-9_-]+)\.(\d+)\.[0-9a-f]{8}(?:_old)?$"
)


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of the system name `path`, where they name nothing, or the temporary in its place.

    A write to a full disk names nothing.
    """
    try:
        yield
    except OSError as error:
        # Of a file that is moved into place the second name is the place.
        name = error.filename2 or error.filename
        hidden = f".{path.name[:40]}{_PARTIAL}"
        parts = () if name is None else Path(str(name)).parts
        unnamed = name is None or any(part.startswith(hidden) for part in parts)
        if unnamed and error.errno is not None:
            error.filename = str(path)
        raise


@contextmanager
def temporary_file(folder: Path, name: str) -> Iterator[Path]:
    """A new, empty file for what shall have this name, gone when the block ends, or moved."""
    path = folder / _name(f".{name[:40]}{_PARTIAL}")
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    try:
        with _claimed(handle):
            yield path
    finally:
        path.unlink(missing_ok=True)


@contextmanager
def temporary_directory(folder: Path, name: str) -> Iterator[Path]:
    """A new, empty directory for what shall have this name, gone when the block ends, or moved."""
    with _directory(folder / _name(f".{name[:40]}{_PARTIAL}")) as path:
        yield path


@contextmanager
def scratch_directory(purpose: str) -> Iterator[Path]:
    """A directory for one purpose in the system's folder for temporary files."""
    folder = Path(tempfile.gettempdir())
    remove_abandoned(folder, _SCRATCH)
    with _directory(folder / _name(f"{_SCRATCH}{purpose}-")) as path:
        yield path


@contextmanager
def _directory(path: Path) -> Iterator[Path]:
    path.mkdir(mode=0o700)
    try:
        with _claimed(os.open(path, os.O_RDONLY)) if fcntl else contextlib.nullcontext():
            yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def remove_abandoned(folder: Path, prefix: str = "") -> None:
    """Removes what killed runs left in a folder under names that begin with `prefix`."""
    with contextlib.suppress(OSError):
        for path in folder.iterdir():
            if path.name.startswith(prefix):
                with contextlib.suppress(OSError):
                    _remove_if_abandoned(path)


def _name(prefix: str) -> str:
    return f"{prefix}{_HOST}.{os.getpid()}.{secrets.token_hex(4)}"


@contextmanager
def _claimed(handle: int) -> Iterator[None]:
    """Holds the lock of an open file or directory, where there are such locks."""
    try:
        if fcntl is not None:
            with contextlib.suppress(OSError):  # some network file systems have none
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    finally:
        os.close(handle)


def _is_abandoned(path: Path) -> bool:
    made_by = _MADE_BY.search(path.name)
    if made_by is None or not _is_mine(path) or _is_claimed(path):
        return False
    if made_by[1] == _HOST:
        return not _lives(int(made_by[2]))
    return time.time() - path.lstat().st_mtime > _UNTOUCHED_SECONDS


def _is_mine(path: Path) -> bool:
    return not hasattr(os, "geteuid") or path.lstat().st_uid == os.geteuid()


def _is_claimed(path: Path) -> bool:
    if fcntl is None or path.is_symlink():
        return False
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    except OSError:
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return True
    finally:
        os.close(handle)
    return False


def _lives(process: int) -> bool:
    if os.name == "nt":  # where the call below would end the process
        return True
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _remove_if_abandoned(path: Path) -> None:
    if not _is_abandoned(path):
        return
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)

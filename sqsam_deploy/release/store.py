"""A place releases live in: any fsspec location, with the one promise publishing rests on.

That promise is `put_new`: of several writers of one path exactly one succeeds, and a reader sees
the whole content or nothing. Each kind of store has its own way of keeping it:

* a folder (`FolderStore`): a hard link to a finished file, which fails where the name exists;
* S3, Google Cloud Storage, Azure (`ObjectStore`): a conditional put (`If-None-Match: *` and its
  kin), which fsspec's `mode="create"` asks for;
* others, the Hugging Face Hub among them, look before they write: safe for one publisher at a time.
"""

import errno
import os
import socket
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, Protocol, TypeVar

from sqsam_deploy.errors import MissingDependencyError, StoreError, UsageError
from sqsam_deploy.release import layout

Result = TypeVar("Result")
#: Environment variable that names the store where no `--store` is given.
STORE_VARIABLE = "SQSAM_STORE"
_READ_ONLY = ("http", "https")
#: A half-written file that nobody touched for so long belongs to nobody.
_ABANDONED_SECONDS = 3600.0


class NotInStoreError(StoreError):
    """The store answered, and the path is not in it."""


class Store(Protocol):
    """What publishing and pulling need of a store. Paths are relative POSIX paths.

    Every method raises `NotInStoreError` for a path that is not there and `StoreError` where
    the store cannot be reached or does not allow it.
    """

    url: str

    def read(self, path: str, limit: int) -> bytes:
        """The whole file; `StoreError` where it has more than `limit` bytes."""

    def read_range(self, path: str, start: int, end: int) -> bytes:
        """Bytes from `start` to before `end`; a server without ranges may return the whole file."""

    def names(self, path: str) -> list[str]:
        """Names in a folder, sorted; none where there is no such folder."""

    def put(self, path: str, content: bytes) -> None:
        """Writes or replaces a file, in one step."""

    def put_new(self, path: str, content: bytes) -> bool:
        """Writes a file if there is none, in one step; says whether it did."""

    def put_file(self, path: str, source: Path) -> None:
        """Writes or replaces a file from a local one, in one step."""


def open_store(url: str) -> Store:
    """The store at a folder's path or a URL (`s3://`, `gs://`, `az://`, `hf://`, `https://`).

    Raises:
        UsageError: fsspec knows no such kind of location.
        MissingDependencyError: The package behind that kind of location is not installed.
    """
    from fsspec.core import url_to_fs
    from fsspec.implementations.local import LocalFileSystem

    try:
        filesystem, root = url_to_fs(url, use_listings_cache=False)
    except ImportError as error:
        raise MissingDependencyError(
            f"the store {public_url(url)} needs a package: {error}"
        ) from None
    except ValueError as error:
        raise UsageError(f"{public_url(url)} is no store location: {error}") from None
    if isinstance(filesystem, LocalFileSystem):
        return FolderStore(Path(root))
    return ObjectStore(filesystem, root, url)


def public_url(url: str) -> str:
    """The URL without a user name or password, fit for messages and lock files."""
    scheme, separator, rest = url.partition("://")
    if not separator:
        return url
    host, slash, path = rest.partition("/")
    return f"{scheme}://{host.rpartition('@')[2]}{slash}{path}".rstrip("/")


class FolderStore:
    """A store in a folder: files become visible by `link` or `replace`, never by being written."""

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self.url = str(self._root)

    def read(self, path: str, limit: int) -> bytes:
        """See `Store.read`."""
        with self._reading(path), (self._root / path).open("rb") as file:
            return _within(file.read(limit + 1), limit, f"{self.url}/{path}")

    def read_range(self, path: str, start: int, end: int) -> bytes:
        """See `Store.read_range`."""
        with self._reading(path), (self._root / path).open("rb") as file:
            file.seek(start)
            return file.read(end - start)

    def names(self, path: str) -> list[str]:
        """See `Store.names`."""
        try:
            return sorted(entry.name for entry in (self._root / path).iterdir())
        except FileNotFoundError:
            return []

    def put(self, path: str, content: bytes) -> None:
        """See `Store.put`."""
        with self._partial(path) as (partial, target):
            _write(partial, content)
            partial.replace(target)
            _sync_directory(target.parent)

    def put_new(self, path: str, content: bytes) -> bool:
        """See `Store.put_new`."""
        with self._partial(path) as (partial, target):
            _write(partial, content)
            try:
                target.hardlink_to(partial)
            except FileExistsError:
                return False
            except OSError as error:
                self._no_links(error)
            _sync_directory(target.parent)
            return True

    def put_file(self, path: str, source: Path) -> None:
        """See `Store.put_file`."""
        import shutil

        with self._partial(path) as (partial, target):
            shutil.copyfile(source, partial)
            _sync(partial)
            partial.replace(target)
            _sync_directory(target.parent)

    def prepare(self) -> None:
        """Makes the folder if it is new, and deletes what killed publishers left half-written."""
        self._root.mkdir(parents=True, exist_ok=True)
        for partial in (self._root / layout.PARTIAL).glob("*"):
            try:
                if _is_abandoned(partial):
                    partial.unlink(missing_ok=True)
            except OSError:
                continue

    @contextmanager
    def _reading(self, path: str) -> Iterator[None]:
        try:
            yield
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            if not self._root.is_dir():
                raise StoreError(f"the store {self.url} does not exist") from None
            raise NotInStoreError(f"{self.url} has no {path}") from None
        except OSError as error:
            raise StoreError(f"{self.url}/{path} cannot be read: {error.strerror}") from None

    @contextmanager
    def _partial(self, path: str) -> Iterator[tuple[Path, Path]]:
        """A fresh file on the store's own file system, gone when the block ends."""
        target = self._root / path
        folder = self._root / layout.PARTIAL
        partial = None
        try:
            folder.mkdir(parents=True, exist_ok=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            prefix = f"{socket.gethostname()}.{os.getpid()}."
            handle, name = tempfile.mkstemp(dir=folder, prefix=prefix)
            os.close(handle)
            partial = Path(name)
            partial.chmod(0o644)
            yield partial, target
        except OSError as error:
            reason = error.strerror or str(error)
            raise StoreError(f"{self.url}/{path} cannot be written: {reason}") from None
        finally:
            if partial is not None:
                partial.unlink(missing_ok=True)

    def _no_links(self, error: OSError) -> NoReturn:
        if error.errno in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK):
            raise StoreError(
                f"{self.url} is on a file system without hard links, where two publishers cannot "
                "be told apart: use another folder or an object store"
            ) from None
        raise error


class ObjectStore:
    """A store behind any other fsspec file system."""

    def __init__(self, filesystem: Any, root: str, url: str) -> None:
        self._filesystem = filesystem
        self._root = root.rstrip("/")
        self._scheme = url.partition("://")[0]
        self.url = public_url(url)

    def read(self, path: str, limit: int) -> bytes:
        """See `Store.read`."""
        content: bytes = self._call(
            path, "read", lambda where: self._filesystem.cat_file(where, start=0, end=limit + 1)
        )
        return _within(content, limit, f"{self.url}/{path}")

    def read_range(self, path: str, start: int, end: int) -> bytes:
        """See `Store.read_range`."""
        return self._call(
            path,
            "read",
            lambda where: bytes(self._filesystem.cat_file(where, start=start, end=end)),
        )

    def names(self, path: str) -> list[str]:
        """See `Store.names`."""
        try:
            # Another publisher may have written since the last look.
            self._filesystem.invalidate_cache()
            found = self._call(
                path, "listed", lambda where: self._filesystem.ls(where, detail=False)
            )
        except NotInStoreError:
            return []
        return sorted({str(name).rstrip("/").rpartition("/")[2] for name in found})

    def put(self, path: str, content: bytes) -> None:
        """See `Store.put`."""
        self._call(path, "written", lambda where: self._filesystem.pipe_file(where, content))

    def put_new(self, path: str, content: bytes) -> bool:
        """See `Store.put_new`."""

        def create(where: str) -> bool:
            try:
                self._filesystem.pipe_file(where, content, mode="create")
            except FileExistsError:
                return False
            return True

        return self._call(path, "written", create)

    def put_file(self, path: str, source: Path) -> None:
        """See `Store.put_file`."""
        self._call(path, "written", lambda where: self._filesystem.put_file(str(source), where))

    def _call(self, path: str, done: str, action: Callable[[str], Result]) -> Result:
        """Runs one operation; the libraries behind fsspec each raise exceptions of their own."""
        if done == "written" and self._scheme in _READ_ONLY:
            raise UsageError(f"{self.url} is read-only: publish to the place that it serves")
        try:
            return action(f"{self._root}/{path}")
        except FileNotFoundError:
            raise NotInStoreError(f"{self.url} has no {path}") from None
        except Exception as error:
            reason = str(error).strip().partition("\n")[0] or type(error).__name__
            raise StoreError(f"{self.url}/{path} cannot be {done}: {reason}") from error


def _within(content: bytes, limit: int, source: str) -> bytes:
    if len(content) > limit:
        raise StoreError(f"{source} has more than {limit} bytes: this is no release document")
    return content


def _write(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _sync_directory(path: Path) -> None:
    """Makes a new name last through a power cut; Windows has no such call and needs none."""
    if os.name != "nt":
        _sync(path)


def _is_abandoned(partial: Path) -> bool:
    """Whether the writer is dead (on this machine) or the file was untouched for an hour."""
    host, _, rest = partial.name.rpartition(".")[0].rpartition(".")
    if host == socket.gethostname() and rest.isdigit() and not _lives(int(rest)):
        return True
    return time.time() - partial.stat().st_mtime > _ABANDONED_SECONDS


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True

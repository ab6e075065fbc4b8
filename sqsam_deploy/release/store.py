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
import re
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeVar
from urllib.parse import urlsplit

from sqsam_deploy._internal.atomic import atomic_create, atomic_file, atomic_write, sync_directory
from sqsam_deploy._internal.packages import missing_package
from sqsam_deploy._internal.temporary import remove_abandoned
from sqsam_deploy.errors import (
    MissingDependencyError,
    ReleaseError,
    StoreError,
    UsageError,
    first_line,
)
from sqsam_deploy.release import store_paths
from sqsam_deploy.release.http import HttpStore, NotInStoreError

Result = TypeVar("Result")
#: Environment variable that names the store where no `--store` is given.
STORE_VARIABLE = "SQSAM_STORE"
_HTTP = ("http", "https")
#: Kinds of location a store may be, each tried or documented, and the package behind each; fsspec
#: knows many that are none.
_KINDS = {
    **{"s3": "s3fs", "s3a": "s3fs", "gs": "gcsfs", "gcs": "gcsfs", "hf": "huggingface_hub"},
    **{"az": "adlfs", "abfs": "adlfs", "abfss": "adlfs", "file": "fsspec", "memory": "fsspec"},
}
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK)


class Store(Protocol):
    """The operations of a store. Paths are relative POSIX paths.

    Every method raises `NotInStoreError` for a path that is not there and `StoreError` where
    the store cannot be reached or does not allow it.
    """

    url: str

    def read(self, path: str, limit: int) -> bytes:
        """The whole file; `ReleaseError` where it has more than `limit` bytes."""

    def read_range(self, path: str, start: int, end: int, size: int) -> bytes:
        """Bytes from `start` to before `end` of a file of `size` bytes.

        A server without ranges may return the whole file. `ReleaseError` where the file is
        another one by its size.
        """

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
        UsageError: It is no such location.
        MissingDependencyError: The package behind that kind of location is not installed.
    """
    shown = public_url(url)
    if not url.strip() or not url.isprintable():
        raise UsageError(f"{url[:80]!r} is no store: name a folder or a URL")
    scheme, separator, rest = url.partition("://")
    if not separator:
        try:
            return _folder_store(Path(url).expanduser())
        except RuntimeError:
            raise UsageError(f"{url} is no store: there is no such user") from None
    kind = scheme.lower()
    if kind not in (*_HTTP, *_KINDS) or re.search("::[A-Za-z0-9+.-]+://", rest):
        known = ", ".join(f"{name}://" for name in ("s3", "gs", "az", "hf", "https"))
        raise UsageError(f"{shown} is no kind of store: name a folder, or a URL like {known}…")
    try:
        if kind in _HTTP:
            if not urlsplit(url).hostname:
                raise ValueError("it names no host")
            return HttpStore(url, shown)
        return _open_filesystem(url)
    except ImportError:
        package = missing_package(_KINDS.get(kind, "fsspec"))
        raise MissingDependencyError(f"{shown} cannot be opened: {package}") from None
    except Exception as error:  # the library behind each kind has its own
        reason = first_line(error)
        raise UsageError(f"{shown} cannot be opened as a store: {reason}") from None


def _open_filesystem(url: str) -> Store:
    from fsspec.core import url_to_fs
    from fsspec.implementations.local import LocalFileSystem

    filesystem, root = url_to_fs(url, use_listings_cache=False)
    if isinstance(filesystem, LocalFileSystem):
        return _folder_store(Path(root))
    return ObjectStore(filesystem, root, url)


def _folder_store(path: Path) -> "FolderStore":
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is a file: a store is a folder or a URL")
    return FolderStore(path)


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
        with self._reading(path) as file:
            return _within(file.read(limit + 1), limit, f"{self.url}/{path}")

    def read_range(self, path: str, start: int, end: int, size: int) -> bytes:
        """See `Store.read_range`."""
        with self._reading(path) as file:
            file.seek(start)
            return file.read(end - start)

    def names(self, path: str) -> list[str]:
        """See `Store.names`."""
        try:
            return sorted(entry.name for entry in (self._root / path).iterdir())
        except (FileNotFoundError, NotADirectoryError):
            self._require()
            return []
        except OSError as error:
            if error.errno == errno.ELOOP:
                return []
            raise StoreError(f"{self.url}/{path} cannot be listed: {error.strerror}") from None

    def put(self, path: str, content: bytes) -> None:
        """See `Store.put`."""
        with self._writing(path) as (target, partial):
            atomic_write(target, content, partial)

    def put_new(self, path: str, content: bytes) -> bool:
        """See `Store.put_new`."""
        with self._writing(path) as (target, partial):
            return atomic_create(target, content, partial)

    def put_file(self, path: str, source: Path) -> None:
        """See `Store.put_file`."""
        with self._writing(path) as (target, folder), atomic_file(target, folder) as partial:
            shutil.copyfile(source, partial)

    @property
    def exists(self) -> bool:
        """Whether the folder is there."""
        return self._root.is_dir()

    def _require(self) -> None:
        if not self.exists:
            raise StoreError(f"the store {self.url} does not exist") from None

    def prepare(self) -> None:
        """Makes the folder if it is new, and deletes what killed publishers left half-written."""
        try:
            self._root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            reason = error.strerror or str(error)
            raise StoreError(f"the store {self.url} cannot be made: {reason}") from None
        remove_abandoned(self._root / store_paths.PARTIAL)

    @contextmanager
    def _reading(self, path: str) -> Iterator[BinaryIO]:
        try:
            # Without waiting: a pipe in the place of a file would never be written to.
            handle = os.open(self._root / path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
            with os.fdopen(handle, "rb") as file:
                if not stat.S_ISREG(os.fstat(handle).st_mode):
                    raise ReleaseError(f"{self.url}/{path} is no plain file: it is not read")
                yield file
        except (FileNotFoundError, NotADirectoryError, IsADirectoryError):
            self._require()
            raise NotInStoreError(f"{self.url} has no {path}") from None
        except OSError as error:
            if error.errno == errno.ELOOP:
                raise NotInStoreError(f"{self.url} has no {path}") from None
            raise StoreError(f"{self.url}/{path} cannot be read: {error.strerror}") from None

    @contextmanager
    def _writing(self, path: str) -> Iterator[tuple[Path, Path]]:
        """The file, in an existing folder, and the folder for half-written ones."""
        target, partial = self._root / path, self._root / store_paths.PARTIAL
        try:
            partial.mkdir(parents=True, exist_ok=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            yield target, partial
            sync_directory(target.parent)
        except OSError as error:
            if error.errno in _NO_LINKS:
                raise StoreError(
                    f"{self.url} is on a file system without hard links, where two publishers "
                    "cannot be told apart: use another folder or an object store"
                ) from None
            reason = error.strerror or str(error)
            raise StoreError(f"{self.url}/{path} cannot be written: {reason}") from None


class ObjectStore:
    """A store behind any other fsspec file system."""

    def __init__(self, filesystem: Any, root: str, url: str) -> None:
        self._filesystem = filesystem
        self._root = root.rstrip("/")
        self.url = public_url(url)

    def read(self, path: str, limit: int) -> bytes:
        """See `Store.read`."""
        content: bytes = self._call(
            path, "read", lambda where: self._filesystem.cat_file(where, start=0, end=limit + 1)
        )
        return _within(content, limit, f"{self.url}/{path}")

    def read_range(self, path: str, start: int, end: int, size: int) -> bytes:
        """See `Store.read_range`."""
        end = min(end, size)
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
        try:
            return action(f"{self._root}/{path}")
        except FileNotFoundError:
            raise NotInStoreError(f"{self.url} has no {path}") from None
        except Exception as error:
            reason = first_line(error)
            raise StoreError(f"{self.url}/{path} cannot be {done}: {reason}") from error


def _within(content: bytes, limit: int, source: str) -> bytes:
    if len(content) > limit:
        raise ReleaseError(f"{source} has more than {limit} bytes: this is no release document")
    return content

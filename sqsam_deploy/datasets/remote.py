"""Data sets behind a URL, in any store that fsspec knows: s3://, gs://, az://, https://, ...

A URL travels as a `Path`, like every other place of a data set; pathlib makes one slash of two.
"""

import re
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

from sqsam_deploy._internal.packages import missing_package
from sqsam_deploy.errors import DataError, MissingDependencyError

#: Two letters and more, which no drive of Windows has.
_URL = re.compile(r"([a-z][a-z0-9+.-]+):/+(.+)")


def url_of(path: Path) -> str | None:
    """The URL that a path stands for; None where it is one of this machine."""
    found = _URL.fullmatch(path.as_posix())
    return f"{found[1]}://{found[2]}" if found else None


def read_file(path: Path) -> bytes:
    """A file's bytes, from this machine or from a store; of a store the latest are kept.

    Raises:
        OSError: A file of this machine is missing or cannot be read.
        DataError: One in a store cannot.
    """
    url = url_of(path)
    return path.read_bytes() if url is None else _fetched(url)


def is_stored(url: str) -> bool:
    """Whether there is such a file; its folder is listed once."""
    folder, _, name = url.rpartition("/")
    return name in _names(folder)


@lru_cache(maxsize=2)
def _fetched(url: str) -> bytes:
    filesystem, path = _opened(url)
    try:
        content: bytes = filesystem.cat_file(path)
    # Each store's library raises its own.
    except Exception as error:
        raise DataError(f"{url} cannot be read: {error or type(error).__name__}") from None
    return content


@cache
def _names(folder: str) -> frozenset[str]:
    filesystem, path = _opened(folder)
    try:
        return frozenset(entry.rpartition("/")[2] for entry in filesystem.ls(path, detail=False))
    except FileNotFoundError:
        return frozenset()
    except Exception as error:
        raise DataError(f"{folder} cannot be listed: {error or type(error).__name__}") from None


def _opened(url: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    try:
        filesystem, path = url_to_fs(url)
    except ImportError:
        package = {"s3": "s3fs", "gs": "gcsfs", "az": "adlfs"}.get(url.partition(":")[0], "fsspec")
        raise MissingDependencyError(f"{url}: {missing_package(package)}") from None
    except ValueError as error:
        raise DataError(f"{url} cannot be opened: {error}") from None
    return filesystem, path

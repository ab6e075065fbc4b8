"""Paths that come from a file somebody else wrote: relative, POSIX, the same on every system."""

import re
import unicodedata
from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator

#: Control characters, what Windows forbids in a name, and the backslash.
_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"|?*\\]')
#: Names that Windows resolves to devices, whatever their suffix.
_DEVICES = re.compile(r"(?i)^(con|prn|aux|nul|com\d|lpt\d)(\.|$)")
_MAX_LENGTH = 512
_MAX_DEPTH = 32


def check_relative_path(path: str) -> str:
    """Returns `path` if it stays inside the directory it is joined to, on any system.

    Raises:
        ValueError: It is absolute, climbs with `..`, is not normalized, or holds a character or
            a name that some file system gives another meaning.
    """
    problem = _problem(path)
    if problem:
        raise ValueError(f"the path {path[:80]!r} {problem}")
    return path


def _problem(path: str) -> str | None:
    segments = path.split("/")
    if path.startswith("/"):
        return "is absolute"
    if ".." in segments:
        return "climbs out of its directory"
    if "" in segments or "." in segments:
        return "is empty or not normalized"
    if len(segments) > _MAX_DEPTH:
        return "is too deep"
    if len(path) > _MAX_LENGTH or _FORBIDDEN.search(path):
        return "is too long or holds a character that not every file system takes"
    if any(_DEVICES.match(name) or name[-1] in ". " for name in segments):
        return "holds a name that Windows cannot store"
    return None


RelativePath = Annotated[str, AfterValidator(check_relative_path)]


def folded_name(path: str) -> str:
    """The key under which a case-insensitive, Unicode-normalizing file system stores `path`."""
    return unicodedata.normalize("NFC", path).casefold()


def find_clash(paths: Iterable[str]) -> str | None:
    """The first path that would overwrite an earlier one, or need it to be a directory."""
    seen: dict[str, bool] = {}
    for path in paths:
        name = folded_name(path)
        parents = {name[:index] for index, sign in enumerate(name) if sign == "/"}
        if name in seen or any(seen.get(parent) for parent in parents):
            return path
        seen.update(dict.fromkeys(parents, False))
        seen[name] = True
    return None

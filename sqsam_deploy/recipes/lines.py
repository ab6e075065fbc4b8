"""On which line of a TOML file a key is set; no maintained parser tells that of a valid file."""

import tomllib
from collections.abc import Sequence
from typing import Any

#: Keys and positions from the top of the document: `("artifact", 1, "runtime")`.
KeyPath = Sequence[str | int]


def line_of(source: str, path: KeyPath) -> int | None:
    """The line on which the statement begins that sets a key, counted from 1.

    The parser itself is asked: the file is cut off after every line, and the key is set where it
    first appears in what is left. A cut inside a statement of several lines does not parse; the
    statement begins after the last cut that did.

    Args:
        source: A valid TOML document.
        path: Where to look; of a key that is not in the file, the closest table around it counts.

    Returns:
        None where not even the outermost key is in the file.
    """
    lines = source.split("\n")
    path = _existing(tomllib.loads(source), path)
    begin = 1
    for end in range(1, len(lines) + 1):
        try:
            document = tomllib.loads("\n".join(lines[:end]) + "\n")
        except tomllib.TOMLDecodeError:
            continue
        if path and len(_existing(document, path)) == len(path):
            return begin
        begin = end + 1
    return None


def _existing(document: Any, path: KeyPath) -> KeyPath:
    """The beginning of a path that leads somewhere."""
    found = document
    for depth, part in enumerate(path):
        try:
            found = found[part]
        except (KeyError, IndexError, TypeError):
            return path[:depth]
    return path

"""Small changes to a file, drawn from a seed."""

import json
import random
from collections.abc import Callable
from typing import Any

_DEEP = "[" * 50_000 + "]" * 50_000
_NUMBERS = [0, -1, 1, 255, 2**31, 2**32 - 1, 2**63, 10**400]
_VALUES: list[Any] = [
    *(None, True, "", "../x", "/x", "\x1b]0;x\x07", "\ud800", "nan", "\0", "[/red]", "x" * 5_000),
    *(-1, 0, 2**63, 10**30, -0.5, 1e308, [], {}, [[]], {"": {}}),
]
#: Stand in for values that `json` cannot write, or writes otherwise.
_RAW = {"@deep": _DEEP, "@nan": "NaN", "@inf": "-Infinity", "@big": "1e999", "@digits": "9" * 5_000}


def mutate(content: bytes, rng: random.Random) -> bytes:
    """The content with one to four changes of its bytes."""
    changed = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        rng.choice(_CHANGES)(changed, rng)
    return bytes(changed)


def mutate_json(content: bytes, rng: random.Random) -> bytes:
    """The document with one to three values, or keys, replaced; one time in four its bytes."""
    if rng.random() < 0.25:
        return mutate(content, rng)
    document = json.loads(content)
    for _ in range(rng.randint(1, 3)):
        _replace(document, rng)
    text = json.dumps(document)
    for name, raw in _RAW.items():
        text = text.replace(f'"{name}"', raw)
    if rng.random() < 0.1 and text.startswith("{"):
        text = "{" + text[1:-1] + "," + text[1:]
    return text.encode()


def _replace(document: Any, rng: random.Random) -> None:
    places = list(_places(document))
    if not places:
        return
    holder, key = rng.choice(places)
    odd = rng.choice([*_VALUES, *_RAW])
    if isinstance(holder, dict) and rng.random() < 0.3:
        holder[rng.choice(["", "x", "__class__", "x" * 3_000, "\x1b[31m"])] = odd
    elif isinstance(holder, dict) and rng.random() < 0.2:
        del holder[key]
    else:
        holder[key] = odd


def _places(value: Any) -> list[tuple[Any, Any]]:
    if not isinstance(value, dict | list):
        return []
    keys = list(value) if isinstance(value, dict) else list(range(len(value)))
    return [(value, key) for key in keys] + [p for key in keys for p in _places(value[key])]


def _flip(content: bytearray, rng: random.Random) -> None:
    if content:
        content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)


def _number(content: bytearray, rng: random.Random) -> None:
    """An integer of a header, in either byte order."""
    size, order = rng.choice([1, 2, 4, 8]), rng.choice(["little", "big"])
    if len(content) >= size:
        start = rng.randrange(min(len(content) - size + 1, rng.choice([64, 512, 1 << 30])))
        value = rng.choice(_NUMBERS) % (1 << 8 * size)
        content[start : start + size] = value.to_bytes(size, order)


def _cut(content: bytearray, rng: random.Random) -> None:
    del content[rng.randrange(len(content) + 1) :]


def _remove(content: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(content) + 1)
    del content[start : start + rng.choice([1, 4, 16, 256])]


def _repeat(content: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(content) + 1)
    piece = content[start : start + rng.choice([1, 4, 16, 256])]
    content[start:start] = piece * rng.choice([1, 2, 50])


def _insert(content: bytearray, rng: random.Random) -> None:
    start = rng.randrange(len(content) + 1)
    content[start:start] = rng.choice(
        [b"\0", b"\xff" * 8, b"[" * 3_000, b'"', b"PK\3\4", b"\x80\2"]
    )


_CHANGES: list[Callable[[bytearray, random.Random], None]] = [
    *(_flip, _flip, _number, _number, _cut, _remove, _repeat, _insert)
]

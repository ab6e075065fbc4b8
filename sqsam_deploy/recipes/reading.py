"""A recipe file, checked: every error names the file, the line and the key."""

import re
import tomllib
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from sqsam_deploy.errors import UsageError
from sqsam_deploy.pipeline.targets import find_collision
from sqsam_deploy.recipes.lines import KeyPath, line_of
from sqsam_deploy.recipes.recipe import LONGEST_SUMMARY, ArtifactTable, Recipe, RecipeFile

SUFFIX = ".toml"
#: No recipe is longer; finding the line of an error takes time with the square of the length.
_LONGEST = 64 << 10


def read_recipe(path: Path) -> Recipe:
    """Reads and checks a recipe.

    Raises:
        UsageError: The file is missing, no TOML, or says something that cannot be built.
    """
    source = _text(path)
    try:
        document = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(_syntax_error(path, source, str(error))) from None
    file = _validated(path, source, document)
    recipe = Recipe(
        path.stem,
        file.summary,
        tuple(table.target() for table in file.artifact),
        with_saliency=file.saliency,
    )
    _refuse_impossible(path, source, recipe)
    return recipe


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"the recipe {path} cannot be read: {error.strerror}") from None
    if len(content) > _LONGEST:
        raise UsageError(f"{path} is no recipe: it has more than {_LONGEST >> 10} KiB")
    try:
        # Some editors put a byte-order mark in front, which TOML does not know.
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        line = content[: _first_undecodable(content)].count(b"\n") + 1
        raise UsageError(f"{path}, line {line}: the text is not UTF-8") from None


def _first_undecodable(content: bytes) -> int:
    return len(content.decode("utf-8", "replace").partition("\ufffd")[0].encode())


def _syntax_error(path: Path, source: str, message: str) -> str:
    """tomllib's own sentence, with the place in front and the line's text behind."""
    place = re.search(r" \(at line (\d+), column \d+\)$", message)
    if place is None:
        last = source.rstrip("\n").count("\n") + 1
        return f"{path}, line {last}: the file ends in the middle of a statement"
    number = int(place.group(1))
    reason = f"{message[:1].lower()}{message[1 : place.start()]}"
    shown = source.split("\n")[number - 1].strip()
    return f"{path}, line {number}: no valid TOML in '{shown}': {reason}"


def _validated(path: Path, source: str, document: dict[str, Any]) -> RecipeFile:
    try:
        return RecipeFile.model_validate(document)
    except ValidationError as error:
        ordered = sorted(error.errors(), key=lambda found: _LATE.get(found["type"], 0))
        first = ordered[0]
        _refuse(path, source, first["loc"], _reason(first))


def _reason(error: ErrorDetails) -> str:
    kind, key, value = error["type"], error["loc"], error["input"]
    if kind == "extra_forbidden":
        known = (ArtifactTable if len(key) > 1 else RecipeFile).model_fields
        close = get_close_matches(str(key[-1]), known, n=1)
        hint = f"did you mean '{close[0]}'?" if close else f"choose from {', '.join(known)}"
        return f"there is no such key: {hint}"
    expected = _EXPECTED.get(kind, error["msg"])
    if kind == "tuple_type" and key[-1] == "artifact":
        expected = "it should be tables, each beginning with [[artifact]]"
    if kind == "literal_error":
        expected = f"it should be {error['ctx']['expected']}"
    return f"{expected}, not {_toml(value)}" if kind in _SHOWN else expected


#: What another error explains: a misspelled key is missing too, a wrong entry is not counted.
_LATE = {"missing": 1, "too_short": 2}
#: What is wrong, by pydantic's type of error, in the words of TOML.
_EXPECTED = {
    "missing": "the key is missing",
    "bool_type": "it should be true or false",
    "string_type": "it should be a string",
    "tuple_type": 'it should be an array, ["..."]',
    "model_type": "it should be a table",
    "too_short": "there should be at least one",
    "string_too_short": "it should not be empty",
    "string_too_long": f"it should be one line of at most {LONGEST_SUMMARY} characters",
    "string_pattern_mismatch": f"it should be one line of at most {LONGEST_SUMMARY} characters",
}
#: Errors whose value is short enough to be shown.
_SHOWN = ("bool_type", "string_type", "literal_error")


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "an array"
    return f"'{value}'" if isinstance(value, str) else str(value)


def _refuse_impossible(path: Path, source: str, recipe: Recipe) -> None:
    for position, target in enumerate(recipe.targets):
        problem = target.problem()
        if problem:
            _refuse(path, source, ("artifact", position, problem.key), problem.reason)
    collision = find_collision(recipe.targets)
    if collision:
        earlier, position = collision
        name = recipe.targets[position].file_name("...")
        reason = f"it would be written as {name}, like artifact {earlier + 1}: give it another name"
        _refuse(path, source, ("artifact", position, "name"), reason)


def _refuse(path: Path, source: str, key: KeyPath, reason: str) -> NoReturn:
    line = line_of(source, key)
    place = f"{path}, line {line}" if line else f"{path}"
    raise UsageError(f"{place}: {_spoken(key)}: {reason}")


def _spoken(key: Sequence[str | int]) -> str:
    """`'runtime' of artifact 2`, counted from 1 as people do."""
    words = []
    for part in reversed(key):
        if isinstance(part, int):
            words.append(f"entry {part + 1}")
        elif part == "artifact" and len(key) > 1:
            words[-1] = words[-1].replace("entry", "artifact")
        else:
            words.append(f"'{part}'")
    return " of ".join(words)

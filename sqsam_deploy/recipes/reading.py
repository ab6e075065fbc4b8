"""A recipe file, checked: every error names the file and the key."""

import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sqsam_deploy.artifact.documents import first_problem
from sqsam_deploy.errors import UsageError
from sqsam_deploy.pipeline.targets import Target, find_collision
from sqsam_deploy.recipes.recipe import Recipe, RecipeFile

SUFFIX = ".toml"
#: No recipe is longer; the parser takes time with the square of a dotted key's length.
_LONGEST = 16 << 10


def read_recipe(path: Path) -> Recipe:
    """Reads and checks a recipe.

    Raises:
        UsageError: The file is missing, no TOML, or says something that cannot be built.
    """
    try:
        file = RecipeFile.model_validate(_parsed(path))
    except ValidationError as error:
        raise UsageError(f"{path}: {first_problem(error)}") from None
    targets = tuple(table.target() for table in file.artifact)
    _refuse_impossible(path, targets)
    return Recipe(path.stem, file.summary, targets, with_saliency=file.saliency)


def _parsed(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST + 1)
    except OSError as error:
        raise UsageError(f"the recipe {path} cannot be read: {error.strerror}") from None
    if len(content) > _LONGEST:
        raise UsageError(f"{path} is no recipe: it has more than {_LONGEST >> 10} KiB")
    try:
        # Some editors put a byte-order mark in front, which TOML does not know.
        return tomllib.loads(content.decode("utf-8-sig"))
    except RecursionError:
        raise UsageError(f"{path} is no recipe: its arrays nest too deeply") from None
    except ValueError as error:
        # tomllib's own, no UTF-8, or an integer of thousands of digits.
        raise UsageError(f"{path} is no valid TOML: {error}") from None


def _refuse_impossible(path: Path, targets: Sequence[Target]) -> None:
    for position, target in enumerate(targets):
        problem = target.problem()
        if problem:
            raise UsageError(f"{path}: artifact.{position}.{problem.key}: {problem.reason}")
    collision = find_collision(targets)
    if collision:
        earlier, position = collision
        raise UsageError(
            f"{path}: artifact.{position}.name: it would be written as "
            f"{targets[position].file_name('...')}, like artifact.{earlier}: give it another name"
        )

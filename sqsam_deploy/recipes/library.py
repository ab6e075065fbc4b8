"""The recipes that come with the package, and how one is chosen."""

from pathlib import Path

from sqsam_deploy.errors import UsageError
from sqsam_deploy.recipes.reading import SUFFIX, read_recipe
from sqsam_deploy.recipes.recipe import Recipe

#: The files live once, in `export/` of the repository; a wheel carries them in this package.
_IN_WHEEL = Path(__file__).parent / "bundled"
_IN_CHECKOUT = Path(__file__).parents[2] / "export"


def bundled_recipes() -> tuple[Recipe, ...]:
    """All of them, sorted by name."""
    return tuple(read_recipe(path) for path in sorted(_folder().glob(f"*{SUFFIX}")))


def find_recipe(name_or_file: str) -> Recipe:
    """A recipe by its name (`iphone-cpu`) or by its file (`mine.toml`, `folder/mine.toml`).

    Raises:
        UsageError: There is none of that name, or the file cannot be used.
    """
    if name_or_file.endswith(SUFFIX) or len(Path(name_or_file).parts) != 1:
        return read_recipe(Path(name_or_file))
    names = sorted(path.stem for path in _folder().glob(f"*{SUFFIX}"))
    if name_or_file not in names:
        raise UsageError(
            f"there is no recipe '{name_or_file}': choose from {', '.join(names)}, or give a "
            f"file whose name ends in {SUFFIX}"
        )
    return read_recipe(_folder() / f"{name_or_file}{SUFFIX}")


def _folder() -> Path:
    return _IN_WHEEL if _IN_WHEEL.is_dir() else _IN_CHECKOUT

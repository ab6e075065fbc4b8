"""Shared by the request dataclasses, which are also the options of the command line."""

from dataclasses import fields
from pathlib import Path
from typing import Any, Final, get_args

from cyclopts import Parameter
from cyclopts.validators import Number

#: Metadata of a field that only Python code sets.
NO_OPTION: Final = Parameter(parse=False)
#: Metadata of a number: 1, 2, 3 ….
POSITIVE: Final = Parameter(validator=Number(gte=1))
#: Metadata of a number that must not be negative.
NOT_NEGATIVE: Final = Parameter(validator=Number(gte=0))


def convert_paths(request: Any) -> None:
    """Makes a `Path` of every path of a frozen dataclass that was given as text.

    Args:
        request: The dataclass; its own annotations say which fields are paths.
    """
    for field in fields(request):
        value = getattr(request, field.name)
        if value is not None and _is_path(field.type):
            paths = tuple(map(Path, value)) if isinstance(value, tuple | list) else Path(value)
            object.__setattr__(request, field.name, paths)


def _is_path(annotation: Any) -> bool:
    """Whether nothing but a path fits: where a name fits too, text stays text."""
    if annotation is Path:
        return True
    kinds = get_args(annotation)
    return str not in kinds and any(map(_is_path, kinds))

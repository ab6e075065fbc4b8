"""Fields of JSON files that others wrote: anything may stand in them."""

import json
import math
from pathlib import Path
from typing import Any

from sqsam_deploy.datasets.remote import is_stored, read_file, url_of
from sqsam_deploy.errors import DataError

#: Most pixels of a photo that is read: 16384x16384, more than the 200 megapixels of phones. Pillow
#: takes 4 bytes a pixel, so reading one takes up to 1.1 GB.
MAX_PIXELS = 2**28


def read_json(path: Path) -> Any:
    """A JSON file's content.

    Raises:
        DataError: The file is missing, unreadable, not JSON, or nested too deeply.
    """
    try:
        return json.loads(read_file(path))
    except FileNotFoundError:
        raise DataError(f"{path} does not exist") from None
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror or error}") from error
    except RecursionError:
        raise DataError(f"{path} is damaged: its JSON is nested too deeply") from None
    except ValueError as error:
        raise DataError(f"{path} is not JSON: {error}") from error


def finite(value: Any) -> float | None:
    """A number that is finite and of sane size, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < 1e15 and math.isfinite(value) else None


def size(width: Any, height: Any) -> tuple[int, int] | None:
    """(width, height) where both are whole numbers of a photo that can be read, else None."""
    sides = finite(width), finite(height)
    if sides[0] is None or sides[1] is None or sides[0] != int(sides[0]) or sides[1] % 1:
        return None
    if sides[0] < 1 or sides[1] < 1 or sides[0] * sides[1] > MAX_PIXELS:
        return None
    return int(sides[0]), int(sides[1])


def four(value: Any) -> tuple[float, float, float, float] | None:
    """Four finite numbers, or None for anything else."""
    if not isinstance(value, list | tuple) or len(value) != 4:
        return None
    numbers = [number for item in value if (number := finite(item)) is not None]
    return (numbers[0], numbers[1], numbers[2], numbers[3]) if len(numbers) == 4 else None


def is_file(path: Path) -> bool:
    """Whether there is such a file; a name that no file can have is none."""
    if (url := url_of(path)) is not None:
        return is_stored(url)
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False

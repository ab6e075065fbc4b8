"""Image-and-mask folders: photos, one PNG a mask, and an `index.json` that lists them."""

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from sqsam_deploy.datasets.masks import FileMask
from sqsam_deploy.datasets.records import Dataset, ImageRecord, ObjectRecord
from sqsam_deploy.errors import DataError

INDEX_NAME = "index.json"


class IndexObject(BaseModel):
    """One object of an entry; other keys are allowed and ignored.

    Attributes:
        file: The mask's PNG, 0 outside and 255 inside, relative to the index.
        category: What it is.
        area_frac: Share of the image's pixels.
        bbox_xyxy: Edges of the box, in pixels.
    """

    model_config = ConfigDict(frozen=True)

    file: str
    category: str = "object"
    area_frac: float = Field(gt=0, le=1)
    bbox_xyxy: tuple[float, float, float, float]


class IndexEntry(BaseModel):
    """One image of `index.json`; other keys (licence, source) are allowed and ignored."""

    model_config = ConfigDict(frozen=True)

    id: str
    image: str
    width: int = Field(gt=0)
    height: int = Field(gt=0)
    objects: tuple[IndexObject, ...]


_ENTRIES = TypeAdapter(tuple[IndexEntry, ...])


def open_folder(index: Path, name: str) -> Dataset:
    """A dataset from its `index.json`.

    Args:
        index: The file; images and masks lie beside it.
        name: The dataset's name.

    Raises:
        DataError: The index is missing, is not what it should be, or lists an id twice.
    """
    entries = _read_entries(index)
    images = tuple(_image_record(entry, index.parent) for entry in entries)
    return Dataset(name, images)


def _read_entries(index: Path) -> tuple[IndexEntry, ...]:
    try:
        return _ENTRIES.validate_python(json.loads(index.read_text("utf-8")))
    except FileNotFoundError:
        raise DataError(f"{index} does not exist") from None
    except ValueError as error:
        raise DataError(f"{index} is not an image-and-mask index: {_first_line(error)}") from error


def _first_line(error: ValueError) -> str:
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False)[0]
        return f"entry {'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
    return str(error)


def _image_record(entry: IndexEntry, root: Path) -> ImageRecord:
    objects = tuple(_object_record(item, entry, root) for item in entry.objects)
    return ImageRecord(entry.id, root / entry.image, entry.width, entry.height, objects)


def _object_record(item: IndexObject, entry: IndexEntry, root: Path) -> ObjectRecord:
    return ObjectRecord(
        id=Path(item.file).with_suffix("").as_posix(),
        category=item.category,
        area=float(round(item.area_frac * entry.width * entry.height)),
        box=item.bbox_xyxy,
        source=FileMask(root / item.file, entry.height, entry.width),
    )

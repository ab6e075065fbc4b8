"""SA-1B's format: photos at any depth, each with a JSON file of its masks beside it.

Format: https://ai.meta.com/datasets/segment-anything/ ("annotations": COCO run lengths). A folder
of the data set has 11,000 photos with a hundred masks each: a file is read when its record is
asked for, and kept nowhere.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from sqsam_deploy.datasets.coco import object_record
from sqsam_deploy.datasets.fields import read_json, size
from sqsam_deploy.datasets.images import SUFFIXES, stored_size
from sqsam_deploy.datasets.problems import Problem
from sqsam_deploy.datasets.records import Dataset, ImageRecord
from sqsam_deploy.errors import DataError

SOURCE = "SA-1B"


@dataclass(frozen=True)
class Pair:
    """A photo and the file of its masks."""

    id: str
    image: Path
    annotations: Path

    def record(self) -> ImageRecord:
        """The file's record; a damaged file gives one without objects, with its problem."""
        try:
            content = read_json(self.annotations)
        except DataError as error:
            return self._without_objects(Problem("photo", "damaged annotations", str(error)))
        entries = content.get("annotations") if isinstance(content, dict) else None
        if not isinstance(entries, list):
            where = str(self.annotations)
            return self._without_objects(Problem("photo", "no list of annotations", where))
        sides = _stated_size(content, entries)
        if sides is None:
            return self._without_objects()
        read = [self._object(number, entry, sides) for number, entry in enumerate(entries)]
        objects = tuple(item for item, _ in read if item is not None)
        problems = tuple(problem for _, found in read for problem in found)
        return ImageRecord(self.id, self.image, *sides, objects, SOURCE, self.id, problems=problems)

    def _object(self, number: int, entry: Any, sides: tuple[int, int]) -> Any:
        label = f"{self.annotations}#{number}"
        if not isinstance(entry, dict):
            return None, [Problem("object", "an annotation that is not a JSON object", label)]
        unique = {**entry, "id": f"{self.id}#{entry.get('id', number)}"}
        return object_record(unique, label, "object", *sides)

    def _without_objects(self, *problems: Problem) -> ImageRecord:
        try:
            (width, height), orientation = stored_size(self.image)
        except DataError:
            width, height, orientation = 1, 1, 1
        sides = (height, width) if orientation >= 5 else (width, height)
        return ImageRecord(self.id, self.image, *sides, (), SOURCE, self.id, problems=problems)


@dataclass(frozen=True)
class Pairs(Sequence[ImageRecord]):
    """The records of a folder, each read anew whenever it is asked for."""

    pairs: tuple[Pair, ...]

    def __len__(self) -> int:
        return len(self.pairs)

    @overload
    def __getitem__(self, index: int) -> ImageRecord: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[ImageRecord]: ...
    def __getitem__(self, index: int | slice) -> ImageRecord | Sequence[ImageRecord]:
        if isinstance(index, slice):
            return Pairs(self.pairs[index])
        return self.pairs[index].record()


def open_sa1b(folder: Path, name: str) -> Dataset | None:
    """The folder's photos that have a JSON file beside them, or None where there are none.

    Photos without such a file are counted.
    """
    photos = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    paired = [(photo, photo.with_suffix(".json")) for photo in photos]
    found = [(photo, annotations) for photo, annotations in paired if annotations.is_file()]
    if not found:
        return None
    lonely = tuple(
        Problem("skipped photo", "no JSON file beside it", str(photo))
        for photo, annotations in paired
        if not annotations.is_file()
    )
    stems = Counter(photo.stem for photo, _ in found)
    pairs = tuple(
        Pair(_name(photo, folder, stems), photo, annotations) for photo, annotations in found
    )
    return Dataset(name, Pairs(pairs), lonely)


def _name(photo: Path, folder: Path, stems: Counter[str]) -> str:
    unique = stems[photo.stem] == 1
    return photo.stem if unique else photo.relative_to(folder).as_posix()


def _stated_size(content: dict[str, Any], entries: list[Any]) -> tuple[int, int] | None:
    """(width, height) as the file states it, or as most of its masks have it."""
    image = content.get("image")
    stated = size(image.get("width"), image.get("height")) if isinstance(image, dict) else None
    if stated is not None:
        return stated
    sizes: Counter[tuple[int, int]] = Counter()
    for entry in entries:
        segmentation = entry.get("segmentation") if isinstance(entry, dict) else None
        sides = segmentation.get("size") if isinstance(segmentation, dict) else None
        if isinstance(sides, list) and len(sides) == 2 and (found := size(sides[1], sides[0])):
            sizes[found] += 1
    return sizes.most_common(1)[0][0] if sizes else None

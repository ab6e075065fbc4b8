"""Photos with object masks as training takes them: what can be read, and a list of what cannot.

The formats are those of `sqsam_deploy.datasets`; a photo that cannot be used never stops a run.
"""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.datasets.annotated import load_annotated
from sqsam_deploy.datasets.mask_files import FileMask
from sqsam_deploy.datasets.opening import read_dataset
from sqsam_deploy.datasets.problems import Problem, Tally
from sqsam_deploy.datasets.records import Dataset, ImageRecord
from sqsam_deploy.datasets.sa1b import Pairs
from sqsam_deploy.errors import DataError, printable


@dataclass(frozen=True)
class MaskedImage:
    """One photo and its objects.

    Attributes:
        id: Name of the photo in its dataset.
        source: Name of the dataset.
        group: Photos of one group (a video, a burst) never fall into two splits.
        image: HxWx3 uint8 RGB.
        masks: NxHxW bool, N >= 1, none of them empty.
    """

    id: str
    source: str
    group: str
    image: NDArray[np.uint8]
    masks: NDArray[np.bool_]


@dataclass
class SkipList:
    """The files and objects that could not be used, with the reasons.

    Attributes:
        entries: One line each.
        tally: The same by kind, and how much was used.
    """

    entries: list[str] = field(default_factory=list)
    tally: Tally = field(default_factory=Tally)

    def add(self, problem: Problem) -> None:
        """Notes one photo or object."""
        self.tally.add([problem])
        if "note" not in problem.cost:
            self.entries.append(str(problem))

    def write(self, path: Path) -> None:
        """Writes one line an entry."""
        path.write_text("".join(f"{entry}\n" for entry in self.entries), encoding="utf-8")


@dataclass(frozen=True)
class Item:
    """A photo that has not been read yet.

    Attributes:
        id: Name of the photo in its dataset.
        version: Changes when the photo, one of its masks, or the list of its masks does.
        read: Reads it; None when nothing of it is usable.
    """

    id: str
    version: str
    read: Callable[[SkipList], MaskedImage | None]


def find_items(folder: Path) -> list[Item]:
    """Every photo of a data set, in a fixed order.

    Args:
        folder: A folder with `index.json`, one in SA-1B's format, or a COCO or LVIS file.

    Raises:
        DataError: It is none of these, or most of the masks in a sample cannot be used.
    """
    dataset = read_dataset(folder)
    listed = SkipList()
    for problem in dataset.problems:
        listed.add(problem)
    listed.tally.report(dataset.name)
    return list(_items(dataset))


def _items(dataset: Dataset) -> Iterator[Item]:
    if isinstance(dataset.images, Pairs):
        for pair in dataset.images.pairs:
            version = f"{_stamp(pair.image)} {_stamp(pair.annotations)}"
            yield Item(pair.id, version, lambda skipped, pair=pair: _read(pair.record(), skipped))  # type: ignore[misc]
        return
    for record in dataset.images:
        yield Item(record.id, _version(record), partial(_read, record))


def _version(record: ImageRecord) -> str:
    """Reading every file to hash it would take minutes; the stamps of all of them do not."""
    digest = hashlib.sha256(f"{_stamp(record.path)} {record.stored_pixels}".encode())
    for item in record.objects:
        stored = item.source
        file = f"{stored.path} {_stamp(stored.path)} " if isinstance(stored, FileMask) else ""
        digest.update(f"{item.id} {file}".encode() + _content(stored))
    return digest.hexdigest()


def _content(source: object) -> bytes:
    """Masks that are stored in the annotation file itself."""
    with np.printoptions(threshold=2**31):
        return b"" if isinstance(source, FileMask) else repr(source).encode()


def _stamp(path: Path) -> str:
    try:
        status = path.stat()
    except OSError:
        return "missing"
    return f"{status.st_size}-{status.st_mtime_ns}"


def _read(record: ImageRecord, skipped: SkipList) -> MaskedImage | None:
    try:
        photo = load_annotated(record)
    except DataError as error:
        for problem in record.problems:
            skipped.add(problem)
        skipped.add(Problem("photo", "cannot be used", printable(f"{record.path.name}: {error}")))
        return None
    for problem in photo.problems:
        skipped.add(problem)
    if not photo.masks:
        skipped.add(Problem("skipped photo", "no object", str(record.path)))
        return None
    skipped.tally.photos += 1
    skipped.tally.objects += len(photo.masks)
    return MaskedImage(record.id, record.source, record.group, photo.image, np.stack(photo.masks))

"""Decoded photos in memory-mapped files, so that training never waits for a JPEG decoder."""

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sqsam_deploy.errors import DataError
from sqsam_deploy.training.augment import nested_masks
from sqsam_deploy.training.readers import Item, MaskedImage, SkipList

FORMAT = "sqsam-prepared/2"


@dataclass(frozen=True)
class PreparedImage:
    """Where one photo and its masks lie in the files.

    Attributes:
        id: Name of the photo in its dataset.
        source: Name of the dataset.
        group: Photos of one group never fall into two splits.
        height: Rows.
        width: Columns.
        pixels: Offset of the HxWx3 bytes in `pixels.bin`.
        masks: Offset of the N masks in `masks.bin`, each ceil(H*W/8) bytes, `np.packbits`.
        nested: For each mask, whether it lies inside a larger one.
    """

    id: str
    source: str
    group: str
    height: int
    width: int
    pixels: int
    masks: int
    nested: tuple[bool, ...]


class PreparedData:
    """The prepared photos of one folder, mapped into memory."""

    def __init__(self, folder: Path) -> None:
        """Opens what `prepare` wrote.

        Raises:
            DataError: The folder is damaged or of another format.
        """
        try:
            index = json.loads((folder / "index.json").read_text(encoding="utf-8"))
            if index["format"] != FORMAT:
                raise ValueError(f"format is {index['format']}, expected {FORMAT}")
            self.images = [_prepared_image(entry) for entry in index["images"]]
            self._pixels = np.memmap(folder / "pixels.bin", np.uint8, mode="r")
            self._masks = np.memmap(folder / "masks.bin", np.uint8, mode="r")
            if (len(self._pixels), len(self._masks)) != (index["pixels"], index["masks"]):
                raise ValueError("pixels.bin or masks.bin is cut off")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise DataError(
                f"{folder} is not prepared training data ({error}): delete it and run again"
            ) from error
        self.folder = folder
        self.skipped = _count_lines(folder / "skipped.txt")

    def __reduce__(self) -> tuple[type["PreparedData"], tuple[Path]]:
        # Workers that are spawned, not forked, open the files anew; a mapped file pickles whole.
        return PreparedData, (self.folder,)

    def __len__(self) -> int:
        return len(self.images)

    def image(self, number: int) -> NDArray[np.uint8]:
        """HxWx3 uint8 RGB, a view into the file."""
        entry = self.images[number]
        count = entry.height * entry.width * 3
        view = self._pixels[entry.pixels : entry.pixels + count]
        return view.reshape(entry.height, entry.width, 3)

    def mask(self, number: int, which: int) -> NDArray[np.uint8]:
        """HxW uint8, 0 or 1."""
        entry = self.images[number]
        count = entry.height * entry.width
        packed = (count + 7) // 8
        start = entry.masks + which * packed
        bits = np.unpackbits(self._masks[start : start + packed], count=count)
        return bits.reshape(entry.height, entry.width)

    def background(self, number: int) -> NDArray[np.uint8]:
        """HxW uint8, 1 where none of the photo's objects is."""
        entry = self.images[number]
        count = entry.height * entry.width
        packed = (count + 7) // 8
        every = self._masks[entry.masks : entry.masks + len(entry.nested) * packed]
        occupied = np.bitwise_or.reduce(every.reshape(-1, packed), axis=0)
        bits = np.unpackbits(~occupied, count=count)
        return bits.reshape(entry.height, entry.width)

    def masked_image(self, number: int) -> MaskedImage:
        """The photo as a reader would give it."""
        entry = self.images[number]
        masks = np.stack([self.mask(number, i) for i in range(len(entry.nested))]).astype(bool)
        return MaskedImage(entry.id, entry.source, entry.group, self.image(number), masks)


def _count_lines(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines()) if path.exists() else 0


def _prepared_image(entry: dict[str, Any]) -> PreparedImage:
    return PreparedImage(**{**entry, "nested": tuple(entry["nested"])})


def prepare(
    items: list[Item],
    cache: Path,
    max_side: int,
    progress: Callable[[list[Item]], Iterable[Item]] = iter,
) -> PreparedData:
    """Decodes, shrinks and stores photos; opens them at once when that has been done before.

    Args:
        items: The photos, from `readers.find_items`.
        cache: Where prepared data is kept. These photos get a folder of their own in it, which
            appears whole or not at all; `skipped.txt` there lists what could not be used.
        max_side: Longer side of the stored photos, in pixels; smaller photos stay as they are.
        progress: Wraps the iteration, to show a progress bar.

    Raises:
        DataError: No photo is usable.
    """
    folder = cache / _key(items, max_side)
    if folder.is_dir():
        return PreparedData(folder)
    temporary = folder.with_name(f"{folder.name}.{os.getpid()}.tmp")
    temporary.mkdir(parents=True)
    try:
        _write(progress(items), temporary, max_side)
        try:
            temporary.replace(folder)
        except OSError:
            # Another run has put the same photos there meanwhile.
            if not folder.is_dir():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return PreparedData(folder)


def _key(items: list[Item], max_side: int) -> str:
    names = "".join(f"{item.id} {item.version}\n" for item in items)
    return hashlib.sha256(f"{FORMAT} {max_side}\n{names}".encode()).hexdigest()[:16]


def _write(items: Iterable[Item], folder: Path, max_side: int) -> None:
    skipped, images = SkipList(), list[PreparedImage]()
    with (folder / "pixels.bin").open("wb") as pixels, (folder / "masks.bin").open("wb") as masks:
        for item in items:
            read = item.read(skipped)
            if read is not None:
                images.append(_append(shrink(read, max_side), pixels, masks))
    if not images:
        reasons = "; ".join(skipped.entries[:3]) or "the folder is empty"
        raise DataError(f"no usable image with a mask in the training data: {reasons}")
    skipped.tally.require_most("training data")
    skipped.tally.report("training data")
    skipped.write(folder / "skipped.txt")
    index = {
        "format": FORMAT,
        "pixels": (folder / "pixels.bin").stat().st_size,
        "masks": (folder / "masks.bin").stat().st_size,
        "images": [asdict(image) for image in images],
    }
    (folder / "index.json").write_text(json.dumps(index), encoding="utf-8")


def _append(photo: MaskedImage, pixels: BinaryIO, masks: BinaryIO) -> PreparedImage:
    height, width = photo.image.shape[:2]
    entry = PreparedImage(
        photo.id,
        photo.source,
        photo.group,
        height,
        width,
        pixels.tell(),
        masks.tell(),
        tuple(bool(flag) for flag in nested_masks(photo.masks)),
    )
    pixels.write(np.ascontiguousarray(photo.image).tobytes())
    for mask in photo.masks:
        masks.write(np.packbits(mask).tobytes())
    return entry


def shrink(photo: MaskedImage, max_side: int) -> MaskedImage:
    """The photo with its longer side at most `max_side` pixels; objects that vanish are kept out.

    An object's last pixel can vanish when the photo shrinks; if all do, the photo stays as it is.
    """
    height, width = photo.image.shape[:2]
    scale = max_side / max(height, width)
    if scale >= 1:
        return photo
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    image = np.asarray(Image.fromarray(photo.image).resize(size, Image.Resampling.BILINEAR))
    masks = np.stack([_shrink_mask(mask, size) for mask in photo.masks])
    masks = masks[masks.any(axis=(1, 2))]
    if not len(masks):
        return photo
    return MaskedImage(photo.id, photo.source, photo.group, image, masks)


def _shrink_mask(mask: NDArray[np.bool_], size: tuple[int, int]) -> NDArray[np.bool_]:
    gray = Image.fromarray(mask.astype(np.uint8) * 255)
    return np.asarray(gray.resize(size, Image.Resampling.BOX)) >= 128

"""Photos with object masks from disk: image-and-mask folders and SA-1B's layout.

A reader yields what it can read and hands what it cannot to a `SkipList`; it never stops a run.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sqsam_deploy.errors import DataError


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
    """What could not be used, and why."""

    entries: list[str] = field(default_factory=list)

    def add(self, name: str, reason: str) -> None:
        """Notes one file or object."""
        self.entries.append(f"{name}: {reason}")

    def write(self, path: Path) -> None:
        """Writes one line an entry."""
        path.write_text("".join(f"{entry}\n" for entry in self.entries), encoding="utf-8")


@dataclass(frozen=True)
class Item:
    """A photo that has not been read yet.

    Attributes:
        id: Name of the photo in its dataset.
        version: Changes when the photo's file does.
        read: Reads it; None when nothing of it is usable.
    """

    id: str
    version: str
    read: Callable[[SkipList], MaskedImage | None]


def _version(path: Path) -> str:
    """Changes when the file does; reading every photo to hash it would take minutes."""
    try:
        status = path.stat()
    except OSError:
        return "missing"
    return f"{status.st_size}-{status.st_mtime_ns}"


def find_items(folder: Path) -> list[Item]:
    """Every photo of a data folder, in a fixed order.

    Args:
        folder: Holds `index.json` (this project's layout), or pairs of JPEG and JSON
            (SA-1B's layout, at any depth).

    Raises:
        DataError: The folder is of neither layout, or its index cannot be read.
    """
    index = folder / "index.json"
    if index.is_file():
        return _folder_items(index)
    items = list(_sa1b_items(folder))
    if not items:
        raise DataError(
            f"{folder} holds neither index.json nor JPEG files with a JSON file beside each: "
            "give a folder of images and masks or one in SA-1B's layout"
        )
    return items


def _folder_items(index: Path) -> list[Item]:
    try:
        entries = json.loads(index.read_text(encoding="utf-8"))
        return [_folder_item(index.parent, entry) for entry in entries]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{index} is not a list of images with masks: {error}") from error


def _folder_item(folder: Path, entry: dict[str, Any]) -> Item:
    name = str(entry["id"])
    image, masks = folder / entry["image"], [folder / file for file in entry["masks"]]
    source, group = str(entry.get("dataset", folder.name)), str(entry.get("group", name))

    def read(skipped: SkipList) -> MaskedImage | None:
        pixels = read_rgb(image, skipped)
        if pixels is None:
            return None
        found = [read_mask(path, pixels.shape[:2], skipped) for path in masks]
        return _masked_image(name, source, group, pixels, found, skipped)

    return Item(name, _version(image), read)


def _sa1b_items(folder: Path) -> Iterator[Item]:
    for image in sorted(folder.rglob("*.jpg")):
        annotation = image.with_suffix(".json")
        if annotation.is_file():
            yield _sa1b_item(image, annotation)


def _sa1b_item(image: Path, annotation: Path) -> Item:
    def read(skipped: SkipList) -> MaskedImage | None:
        pixels = read_rgb(image, skipped)
        if pixels is None:
            return None
        found = _decode_sa1b(annotation, pixels.shape[:2], skipped)
        return _masked_image(image.stem, "SA-1B", image.stem, pixels, found, skipped)

    return Item(image.stem, _version(image), read)


def _decode_sa1b(
    path: Path, image_hw: tuple[int, ...], skipped: SkipList
) -> list[NDArray[np.bool_] | None]:
    """Masks of an SA-1B annotation: `annotations[i].segmentation` is a compressed COCO RLE."""
    from pycocotools import mask as coco_mask

    try:
        annotations = json.loads(path.read_text(encoding="utf-8"))["annotations"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        skipped.add(str(path), f"unreadable annotations ({error})")
        return []
    masks: list[NDArray[np.bool_] | None] = []
    for number, annotation in enumerate(annotations):
        name = f"{path}#{number}"
        try:
            rle = annotation["segmentation"]
            size = tuple(int(side) for side in rle["size"])
            # pycocotools trusts the size and crashes the process on a wrong one.
            if size != tuple(image_hw):
                skipped.add(name, f"mask is {size[0]}x{size[1]}, image is {image_hw}")
                continue
            masks.append(_usable(coco_mask.decode(rle).astype(bool), name, skipped))
        except (ValueError, KeyError, TypeError) as error:
            skipped.add(name, f"unreadable mask ({error})")
    return masks


def read_rgb(path: Path, skipped: SkipList) -> NDArray[np.uint8] | None:
    """An image file as HxWx3 uint8 RGB, or None when it cannot be read."""
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        skipped.add(str(path), f"unreadable image ({error})")
        return None


def read_mask(path: Path, image_hw: tuple[int, ...], skipped: SkipList) -> NDArray[np.bool_] | None:
    """A 0/255 mask file as HxW bool, or None when it is unreadable, empty or of another size."""
    try:
        with Image.open(path) as image:
            mask = np.asarray(image.convert("L")) >= 128
    except (OSError, ValueError, SyntaxError) as error:
        skipped.add(str(path), f"unreadable mask ({error})")
        return None
    if mask.shape != tuple(image_hw):
        skipped.add(str(path), f"mask is {mask.shape}, image is {tuple(image_hw)} (height, width)")
        return None
    return _usable(mask, str(path), skipped)


def _usable(mask: NDArray[np.bool_], name: str, skipped: SkipList) -> NDArray[np.bool_] | None:
    if mask.any():
        return mask
    skipped.add(name, "empty object")
    return None


def _masked_image(
    name: str,
    source: str,
    group: str,
    pixels: NDArray[np.uint8],
    found: list[NDArray[np.bool_] | None],
    skipped: SkipList,
) -> MaskedImage | None:
    masks = [mask for mask in found if mask is not None]
    if not masks:
        skipped.add(name, "no usable object")
        return None
    return MaskedImage(name, source, group, pixels, np.stack(masks))

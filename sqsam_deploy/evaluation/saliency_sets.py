"""Saliency maps on the field's data sets: photos, each with one mask of all that is salient."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.datasets import load_annotated, open_dataset, read_image, subset
from sqsam_deploy.datasets.folder import INDEX_NAME
from sqsam_deploy.datasets.images import SUFFIXES, opened
from sqsam_deploy.datasets.records import draw_ids
from sqsam_deploy.errors import DataError
from sqsam_deploy.evaluation.saliency import saliency_map
from sqsam_deploy.predictor import upsample_masks
from sqsam_deploy.saliency.measures import SaliencyMeasures, Scores

#: Gray value over which a mask's pixel is salient, as the field's evaluation codes have it.
_SALIENT = 128
_JPEG = (".jpg", ".jpeg")


@dataclass(frozen=True)
class SalientPhoto:
    """A photo, its file, and what is salient in it.

    Attributes:
        path: The file.
        image: HxWx3 uint8 RGB.
        truth: HxW bool.
    """

    path: Path
    image: NDArray[np.uint8]
    truth: NDArray[np.bool_]


@dataclass(frozen=True)
class SaliencySet:
    """A data set whose photos are read one at a time.

    Attributes:
        name: Of the folder.
        size: Number of photos.
        photos: Reads them, in a fixed order.
    """

    name: str
    size: int
    photos: Callable[[], Iterator[SalientPhoto]]


def open_saliency_set(
    folder: Path, masks: Path | None = None, count: int | None = None, seed: int = 0
) -> SaliencySet:
    """ECSSD, DUTS, DUT-OMRON, PASCAL-S, SOD and their kind.

    Args:
        folder: Holds photos as JPEG and, beside them or in folders of any name, a PNG of the same
            stem for each; or an `index.json` whose objects are all salient.
        masks: Folder with the masks, where photos are PNG too or masks lie elsewhere.
        count: Photos, drawn by the seed; None for all.
        seed: Any integer.

    Raises:
        DataError: There is no such folder, or no photo with a mask in it.
    """
    if not folder.is_dir():
        raise DataError(f"{folder} is no folder of photos and masks")
    name = folder.resolve().name
    if masks is None and (folder / INDEX_NAME).is_file():
        dataset = open_dataset(folder)
        drawn = subset(dataset, count, seed) if count else dataset

        def annotated() -> Iterator[SalientPhoto]:
            for record in drawn:
                found = load_annotated(record)
                yield SalientPhoto(record.path, found.image, np.any(found.masks, axis=0))

        return SaliencySet(name, len(drawn), annotated)
    pairs = _pairs(folder, masks)
    if not pairs:
        raise DataError(
            f"{folder} has no photo with a mask: a JPEG and a PNG of the same stem are taken, or "
            "name the masks' folder with --masks"
        )
    kept = set(draw_ids((photo.stem for photo, _ in pairs), count or len(pairs), seed))
    chosen = [pair for pair in pairs if pair[0].stem in kept]
    return SaliencySet(name, len(chosen), lambda: (_read(*pair) for pair in chosen))


def _pairs(folder: Path, masks: Path | None) -> list[tuple[Path, Path]]:
    files = sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
    if masks is None:
        photos = [path for path in files if path.suffix.lower() in _JPEG]
        truths = {path.stem: path for path in files if path.suffix.lower() not in _JPEG}
    else:
        inside = masks.resolve()
        photos = [path for path in files if inside not in path.resolve().parents]
        truths = {path.stem: path for path in masks.rglob("*") if path.suffix.lower() in SUFFIXES}
    return [(photo, truths[photo.stem]) for photo in photos if photo.stem in truths]


def _read(photo: Path, mask: Path) -> SalientPhoto:
    image = read_image(photo)
    with opened(mask, f"mask {mask}") as stored:
        truth = np.asarray(stored.convert("L")) > _SALIENT
    if truth.shape != image.shape[:2]:
        raise DataError(f"mask {mask} is of another size than its photo")
    return SalientPhoto(photo, image, truth)


def score_saliency(
    data: SaliencySet,
    sources: Sequence[Path],
    progress: Callable[[int], None] = lambda done: None,
) -> tuple[SaliencyMeasures, ...]:
    """The measures of each source's maps, enlarged to the photos.

    Args:
        data: What to score on.
        sources: Folders of maps, or networks; see `sqsam_deploy.evaluation.saliency.saliency_map`.
        progress: Called with the number of photos done.

    Raises:
        DataError: A photo, a mask or a map is missing or damaged.
        SqsamError: A network cannot be opened or run.
    """
    scores = [Scores() for _ in sources]
    for done, photo in enumerate(data.photos(), 1):
        for source, collected in zip(sources, scores, strict=True):
            found = saliency_map(source, photo.path, photo.image)
            collected.add(upsample_masks(found[None], photo.truth.shape)[0], photo.truth)
        progress(done)
    return tuple(collected.result() for collected in scores)

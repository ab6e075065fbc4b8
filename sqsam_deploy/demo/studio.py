"""Photos that were dropped into the page, each with a predictor that keeps it prepared."""

import io
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.datasets.images import decode_image, opened
from sqsam_deploy.errors import DataError, SqsamError
from sqsam_deploy.model.config import ModelConfig
from sqsam_deploy.model.description import config_of
from sqsam_deploy.pictures import cutout, encode_png
from sqsam_deploy.predictor import Predictor, upsample_masks
from sqsam_deploy.prompts import Prompt
from sqsam_deploy.prompts.encoding import kept_clicks
from sqsam_deploy.runtimes.session import RawPrediction, Session
from sqsam_deploy.saliency import SaliencyModel

#: Decodes a file's bytes into HxWx3 uint8; the second argument is what a message calls the file.
Decoder = Callable[[bytes, str], NDArray[np.uint8]]

#: A kept photo takes its pixels, its mask, and some MB for the networks' inputs.
_BYTES_PER_PIXEL = 4
_BYTES_PER_PHOTO = 8 << 20


@dataclass(frozen=True)
class Limits:
    """Limits on the resources of one visitor and of all together; see docs/security.md.

    Attributes:
        upload_bytes: Of one file.
        pixels: Of one photo: 50 million take 150 MB decoded.
        uploads: Files that are received and prepared at a time; the others wait.
        seconds: To receive one file, or to be rid of one answer, or to wait for one's turn.
        stalled_seconds: Without a byte of an upload.
        photos: Of one visitor that stay prepared; the one not used for longest goes first.
        visitor_bytes: Of one visitor's photos.
        all_bytes: Of all photos; where they are used up, new photos are refused.
        idle_seconds: Until a photo that nobody uses is forgotten.
    """

    upload_bytes: int = 25 << 20
    pixels: int = 50_000_000
    uploads: int = 3
    seconds: float = 60
    stalled_seconds: float = 10
    photos: int = 8
    visitor_bytes: int = 256 << 20
    all_bytes: int = 512 << 20
    idle_seconds: float = 1800


class PhotoGoneError(SqsamError):
    """A photo was never there, or later ones of the same visitor have taken its place."""

    def __init__(self) -> None:
        super().__init__("this photo is not kept any more: open it again")


class FullError(SqsamError):
    """The photos of other visitors fill the memory that all may take together."""

    def __init__(self) -> None:
        super().__init__("other people's photos fill the server's memory: try again later")


@dataclass(frozen=True)
class Choice:
    """One of the masks that a network offers for a prompt.

    Attributes:
        small_png: The mask at the network's resolution, square, 0 and 255, as a PNG file.
        predicted_iou: What the network expects of it.
    """

    small_png: bytes
    predicted_iou: float


@dataclass(frozen=True)
class Cut:
    """One answer to the page.

    Attributes:
        prompt: The clicks and the box it is for.
        used: Of each click, whether the network gets it.
        size: Width and height of the photo and the mask.
        choices: All masks of the network, the one with the highest predicted IoU first.
        chosen: Which of them the mask is.
        mask_png: The mask at the photo's size, 0 and 255, as a PNG file.
        is_empty: Whether it has no pixel.
        milliseconds: What took how long.
    """

    prompt: Prompt
    used: tuple[bool, ...]
    size: tuple[int, int]
    choices: tuple[Choice, ...]
    chosen: int
    mask_png: bytes
    is_empty: bool
    milliseconds: dict[str, float]


@dataclass
class _Photo:
    visitor: str
    image: NDArray[np.uint8]
    predictor: Predictor
    mask: NDArray[np.bool_]
    used: float

    @property
    def bytes(self) -> int:
        return _kept_bytes(self.mask.size)


@dataclass
class _Stopwatch:
    milliseconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.milliseconds[name] = round((time.perf_counter() - start) * 1e3, 1)


class Studio:
    """Everything the web server does with photos; usable from several threads.

    Args:
        session: Makes the masks.
        saliency: Picks the first clicks.
        limits: What visitors can take.
        decode: Reads an uploaded file.
        clock: Seconds of a clock that only goes forward.

    Raises:
        ArtifactError: The session is a saliency network.
    """

    def __init__(
        self,
        session: Session,
        saliency: SaliencyModel,
        limits: Limits = Limits(),
        decode: Decoder = decode_image,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        config_of(session.metadata)  # refuses a saliency network now, not at the first photo
        self.limits = limits
        self._session, self._saliency = session, saliency
        self._decode, self._clock = decode, clock
        self._photos: OrderedDict[str, _Photo] = OrderedDict()
        # Sessions are not made for several threads, two runs at once are no faster, and only one
        # photo's intermediate results take memory.
        self._lock = threading.Lock()

    def add(self, visitor: str, content: bytes) -> tuple[str, Cut]:
        """Takes a visitor's photo and cuts out what is salient in it; returns its id too.

        Raises:
            DataError: The bytes are no photo, or it has more pixels than allowed.
            FullError: Other visitors' photos leave no room.
        """
        watch = _Stopwatch()
        with self._lock:
            with watch.time("decode"):
                self._make_room(visitor, _pixels(content, self.limits.pixels))
                image = self._decode(content, "the upload")
            predictor = Predictor(self._session, self._saliency)
            with watch.time("resize"):
                predictor.set_image(image)
            with watch.time("saliency"):
                prompt = predictor.auto_start()
            mask = np.zeros(image.shape[:2], np.bool_)
            photo = _Photo(visitor, image, predictor, mask, self._clock())
            cut = _cut(photo, prompt, predictor.auto_choice, watch)
            identifier = secrets.token_urlsafe(12)
            self._photos[identifier] = photo
        return identifier, cut

    def cut(self, identifier: str, prompt: Prompt, chosen: int = 0) -> Cut:
        """The mask for another prompt on a photo.

        Args:
            identifier: Of the photo.
            prompt: Clicks and a box in its pixels.
            chosen: Which of the network's masks, 0 for the best; the last one, if there are fewer.

        Raises:
            PhotoGoneError: The photo is not there, or not any more.
            UsageError: The prompt is not valid.
        """
        with self._lock:
            photo = self._photo(identifier)
            return _cut(photo, prompt, lambda found: chosen, _Stopwatch())

    def cutout_png(self, identifier: str) -> bytes:
        """The photo, transparent outside the latest mask, as a PNG file.

        Raises:
            PhotoGoneError: The photo is not there, or not any more.
        """
        with self._lock:
            photo = self._photo(identifier)
            return encode_png(cutout(photo.image, photo.mask))

    def _photo(self, identifier: str) -> _Photo:
        if identifier not in self._photos:
            raise PhotoGoneError
        self._photos.move_to_end(identifier)
        photo = self._photos[identifier]
        photo.used = self._clock()
        return photo

    def _make_room(self, visitor: str, pixels: int) -> None:
        """Forgets photos that nobody uses, and the visitor's own, but never another's."""
        limits, needed = self.limits, _kept_bytes(pixels)
        unused = self._clock() - limits.idle_seconds
        for identifier in [name for name, photo in self._photos.items() if photo.used < unused]:
            del self._photos[identifier]
        own = [name for name, photo in self._photos.items() if photo.visitor == visitor]
        while own and (
            len(own) >= limits.photos
            or self._bytes(visitor) + needed > limits.visitor_bytes
            or self._bytes() + needed > limits.all_bytes
        ):
            del self._photos[own.pop(0)]
        if self._bytes() + needed > limits.all_bytes:
            raise FullError

    def _bytes(self, visitor: str | None = None) -> int:
        photos = self._photos.values()
        return sum(photo.bytes for photo in photos if visitor in (None, photo.visitor))


def _kept_bytes(pixels: int) -> int:
    return pixels * _BYTES_PER_PIXEL + _BYTES_PER_PHOTO


def _cut(
    photo: _Photo, prompt: Prompt, choose: Callable[[RawPrediction], int], watch: _Stopwatch
) -> Cut:
    with watch.time("mask"):
        found = photo.predictor.predict_low_res(prompt)
        chosen = min(choose(found), len(found.low_res_masks) - 1)
        logits = upsample_masks(found.low_res_masks[chosen : chosen + 1], photo.mask.shape)[0]
    threshold = photo.predictor.session.metadata.mask_threshold
    photo.mask = logits > threshold
    choices = tuple(
        Choice(_png(low_res > threshold), float(iou))
        for low_res, iou in zip(found.low_res_masks, found.iou_predictions, strict=True)
    )
    height, width = photo.mask.shape
    return Cut(
        prompt,
        _used(prompt, photo.predictor.config),
        (width, height),
        choices,
        chosen,
        _png(photo.mask),
        not photo.mask.any(),
        watch.milliseconds,
    )


def _used(prompt: Prompt, config: ModelConfig) -> tuple[bool, ...]:
    """The network takes a few clicks, and that of 2023 none on the background."""
    kept = kept_clicks(len(prompt.point_labels), config.max_clicks)
    takes_background = config.carve_background or config.late_fusion
    return tuple(
        number in kept and (takes_background or bool(label))
        for number, label in enumerate(prompt.point_labels)
    )


def _png(mask: NDArray[np.bool_]) -> bytes:
    return encode_png(mask.astype(np.uint8) * 255)


def _pixels(content: bytes, most: int) -> int:
    """Looks at the header only: a small file can hold a picture that fills the memory."""
    with opened(io.BytesIO(content), "the upload") as image:
        width, height = image.size
    if width * height > most:
        raise DataError(
            f"the upload has {width}x{height} pixels, more than {most // 1_000_000} million"
        )
    return width * height

"""Photos that were dropped into the page, each with a predictor that keeps it prepared."""

import io
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from sqsam_deploy.datasets.images import decode_image
from sqsam_deploy.errors import DataError, SqsamError
from sqsam_deploy.pictures import cutout, encode_png
from sqsam_deploy.predictor import Predictor
from sqsam_deploy.prompts import Prompt
from sqsam_deploy.runtimes.session import Session
from sqsam_deploy.saliency import SaliencyModel

#: Photos that stay prepared; the one not used for longest is forgotten first.
KEPT_PHOTOS = 8
#: A 50-megapixel photo takes 150 MB decoded.
MAX_PIXELS = 50_000_000


class PhotoGoneError(SqsamError):
    """A photo was never there, or others have taken its place."""

    def __init__(self) -> None:
        super().__init__("this photo is not kept any more: open it again")


@dataclass(frozen=True)
class Cut:
    """One answer to the page.

    Attributes:
        prompt: The clicks it is for.
        mask: HxW bool.
        predicted_iou: What the network expects of it.
        milliseconds: What took how long.
    """

    prompt: Prompt
    mask: NDArray[np.bool_]
    predicted_iou: float
    milliseconds: dict[str, float]


@dataclass
class _Photo:
    image: NDArray[np.uint8]
    predictor: Predictor
    mask: NDArray[np.bool_]


@dataclass
class _Stopwatch:
    milliseconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.milliseconds[name] = round((time.perf_counter() - start) * 1e3, 1)


class Studio:
    """Everything the web server does with photos; usable from several threads."""

    def __init__(self, session: Session, saliency: SaliencyModel) -> None:
        self._session, self._saliency = session, saliency
        self._photos: OrderedDict[str, _Photo] = OrderedDict()
        # Sessions are not made for several threads, and two runs at once are no faster.
        self._lock = threading.Lock()

    def add(self, content: bytes) -> tuple[str, Cut]:
        """Takes a photo and cuts out what is salient in it; returns its id too.

        Raises:
            DataError: The bytes are no photo, or it has more than `MAX_PIXELS`.
        """
        watch = _Stopwatch()
        with self._lock:
            with watch.time("decode"):
                _check_size(content)
                image = decode_image(content, "the upload")
            predictor = Predictor(self._session, self._saliency)
            with watch.time("resize"):
                predictor.set_image(image)
            with watch.time("saliency"):
                prompt = predictor.auto_prompt()
            photo = _Photo(image, predictor, np.zeros(image.shape[:2], np.bool_))
            cut = _cut(photo, prompt, watch)
            identifier = secrets.token_urlsafe(12)
            self._photos[identifier] = photo
            if len(self._photos) > KEPT_PHOTOS:
                self._photos.popitem(last=False)
        return identifier, cut

    def cut(self, identifier: str, prompt: Prompt) -> Cut:
        """The mask for other clicks on a photo.

        Raises:
            PhotoGoneError: The photo is not there, or not any more.
            UsageError: The clicks are not valid.
        """
        with self._lock:
            return _cut(self._photo(identifier), prompt, _Stopwatch())

    def cutout_png(self, identifier: str) -> bytes:
        """The photo, transparent outside the latest mask, as a PNG file.

        Raises:
            PhotoGoneError: The photo is not there, or not any more.
        """
        with self._lock:
            photo = self._photo(identifier)
            image, mask = photo.image, photo.mask
        return encode_png(cutout(image, mask))

    def _photo(self, identifier: str) -> _Photo:
        if identifier not in self._photos:
            raise PhotoGoneError
        self._photos.move_to_end(identifier)
        return self._photos[identifier]


def _cut(photo: _Photo, prompt: Prompt, watch: _Stopwatch) -> Cut:
    with watch.time("mask"):
        prediction = photo.predictor.predict_prompt(prompt, multimask_output=False)
    photo.mask = prediction.masks[0]
    iou = float(prediction.iou_predictions[0])
    return Cut(prompt, photo.mask, iou, watch.milliseconds)


def _check_size(content: bytes) -> None:
    """Looks at the header only: a small file can hold a picture that fills the memory."""
    try:
        with Image.open(io.BytesIO(content)) as image:
            width, height = image.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise DataError("the upload is no photo that can be read (JPEG, PNG, WebP)") from error
    if width * height > MAX_PIXELS:
        raise DataError(
            f"the upload has {width}x{height} pixels, more than {MAX_PIXELS // 1_000_000} million"
        )

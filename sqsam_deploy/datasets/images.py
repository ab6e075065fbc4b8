"""Photos as sRGB arrays, whatever the file holds: the one place where an image file is opened.

Only the formats a photo comes in are opened (`FORMATS`): Pillow would start Ghostscript for a
PostScript file of any name.
"""

import io
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, UnidentifiedImageError

from sqsam_deploy.datasets.fields import MAX_PIXELS
from sqsam_deploy.datasets.records import ImageRecord
from sqsam_deploy.datasets.remote import read_file, url_of
from sqsam_deploy.errors import DataError

#: What shows through transparent pixels.
BACKGROUND = (255, 255, 255)
#: Pillow's names of the formats that are opened. Of files with several pictures it is the first.
FORMATS = ("JPEG", "MPO", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "HEIF")
#: The suffixes they have.
SUFFIXES = {f".{s}" for s in ("jpg", "jpeg", "jpe", "jfif", "mpo", "png", "webp", "tif")}
SUFFIXES |= {".tiff", ".bmp", ".gif", ".avif", ".heic", ".heif"}
#: Photos of more pixels are reduced while they are read (`read_photo`).
FULL_PIXELS = 2**26

#: EXIF orientation to what turns the stored pixels upright (EXIF 2.3, tag 0x0112).
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_ORIENTATION = 0x0112
_pillow_limit = threading.Lock()


@dataclass(frozen=True)
class Photo:
    """A photo as it was read.

    Attributes:
        pixels: HxWx3 uint8 RGB, upright.
        width: Of the upright photo in its file; more than W where it was reduced.
        height: Of the upright photo in its file; more than H where it was reduced.
    """

    pixels: NDArray[np.uint8]
    width: int
    height: int

    @property
    def scale(self) -> tuple[float, float]:
        """The factors that turn coordinates (x, y) of the file into those of `pixels`."""
        height, width = self.pixels.shape[:2]
        return width / self.width, height / self.height


def load_image(record: ImageRecord) -> NDArray[np.uint8]:
    """An image in the orientation and size its masks were drawn in.

    EXIF orientation is applied, unless the data set's masks were drawn on the stored pixels
    (`record.stored_pixels`), or only these have the size that the data set states.

    Args:
        record: The image; only `path`, `width`, `height` and `stored_pixels` are used.

    Returns:
        HxWx3 uint8 RGB.

    Raises:
        DataError: The file is missing, damaged, too large, or not of the stated size.
    """
    stored, orientation = _decode(record.path)
    upright = turned_upright(stored, orientation)
    wanted = (record.width, record.height)
    choices = [stored, upright] if record.stored_pixels else [upright, stored]
    image = next((choice for choice in choices if choice.size == wanted), None)
    if image is None:
        raise DataError(
            f"image {record.path} is {upright.width}x{upright.height} pixels, the dataset states "
            f"{record.width}x{record.height}"
        )
    return _to_rgb(image, str(record.path))


def read_photo(path: Path) -> Photo:
    """An image file without a dataset.

    A photo of more than `FULL_PIXELS` (67 million) is reduced by 2 or 4, a JPEG while it is
    decoded, others afterwards. Measured at 200 million: 0.5 GB for a JPEG, 0.8 GB for a progressive
    one, 1.3 GB for a PNG. `MAX_PIXELS` (268 million) are the most, a third more.

    Raises:
        DataError: The file is missing, damaged, of another format, or has more pixels than that.
    """
    return _read(path, str(path))


def read_image(path: Path) -> NDArray[np.uint8]:
    """An image file's pixels as `read_photo` reads them: upright HxWx3 uint8 RGB.

    Raises:
        DataError: As `read_photo`.
    """
    return read_photo(path).pixels


def decode_image(content: bytes, name: str) -> NDArray[np.uint8]:
    """An image file's bytes as `read_image` reads them; `name` is what a message calls it.

    Raises:
        DataError: The bytes are damaged, no image, or too large a one.
    """
    return _read(io.BytesIO(content), name).pixels


def stored_size(path: Path) -> tuple[tuple[int, int], int]:
    """(width, height) as the pixels are stored, and the EXIF orientation; only the header is read.

    Raises:
        DataError: The file is missing, damaged, or no photo.
    """
    with opened(path, f"image {path}") as image:
        orientation = _orientation(image)
        # Pillow turns TIFFs itself and states the size they will have.
        turned = image.format == "TIFF" and orientation >= 5
        return (image.size[::-1] if turned else image.size), orientation


@contextmanager
def opened(source: Path | io.BytesIO, name: str) -> Iterator[Image.Image]:
    """An image file of one of `FORMATS`, its header read; `name` begins every message.

    Decoding it inside the block is part of it: whatever a damaged file makes a decoder raise
    becomes a `DataError`.

    Raises:
        DataError: It is missing, damaged, of another format, or has over `MAX_PIXELS`.
    """
    try:
        # A pipe would be waited for.
        if isinstance(source, Path) and source.exists() and not source.is_file():
            raise DataError(f"{name} is no file")
        with _own_limit(), Image.open(source, formats=_formats()) as image:
            if image.width * image.height > MAX_PIXELS:
                raise DataError(
                    f"{name} has {image.width}x{image.height} pixels, and at most "
                    f"{MAX_PIXELS // 10**6} million are read: make it smaller first"
                )
            yield image
    except DataError:
        raise
    except UnidentifiedImageError:
        raise DataError(f"{name} cannot be read: {_unidentified(source)}") from None
    except FileNotFoundError:
        raise DataError(f"{name} does not exist") from None
    except PermissionError as error:
        raise DataError(f"{name} cannot be read: {error.strerror}") from None
    except MemoryError:
        raise DataError(f"{name} cannot be read: memory does not suffice") from None
    # Decoders of damaged files raise whatever they stumble over (struct.error, KeyError, ...).
    except Exception as error:
        raise DataError(f"{name} cannot be read: {error or type(error).__name__}") from error


@contextmanager
def _own_limit() -> Iterator[None]:
    """Pillow refuses 179 million pixels and warns above 89; here `MAX_PIXELS` is the limit.

    Its warnings about damaged files, which are then read or refused, would reach the user.
    """
    with _pillow_limit, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        before, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            yield
        finally:
            Image.MAX_IMAGE_PIXELS = before


def _formats() -> list[str]:
    """Those of `FORMATS` that can be opened here; HEIF is pillow-heif's."""
    Image.init()
    if "HEIF" not in Image.OPEN:
        try:
            from pillow_heif import register_heif_opener
        except ImportError:
            pass
        else:
            register_heif_opener()
    return [name for name in FORMATS if name in Image.OPEN]


def _unidentified(source: Path | io.BytesIO) -> str:
    if isinstance(source, io.BytesIO):
        start = source.getvalue()[:16]
    else:
        with source.open("rb") as file:
            start = file.read(16)
    if start[4:8] == b"ftyp":
        return "it is a HEIC or AVIF photo: pip install pillow-heif, or save it as JPEG"
    return "it is no JPEG, PNG, WebP, TIFF, BMP, GIF, HEIC or AVIF photo, or it is damaged"


def _decode(path: Path) -> tuple[Image.Image, int]:
    """The stored pixels at full size, and their orientation."""
    source = path if url_of(path) is None else io.BytesIO(read_file(path))
    with opened(source, f"image {path}") as image:
        image.load()
        return image, _orientation(image)


def _read(source: Path | io.BytesIO, name: str) -> Photo:
    with opened(source, f"image {name}") as image:
        size = image.size
        factor = 1
        while size[0] * size[1] > FULL_PIXELS * factor**2:
            factor *= 2
        if factor > 1:
            image.draft(None, (size[0] // factor, size[1] // factor))
        image.load()
        orientation = _orientation(image)
        left = round(image.width * factor / size[0])
        reduced = image.reduce(left) if left > 1 else image
    pixels = _to_rgb(turned_upright(reduced, orientation), name)
    width, height = size[::-1] if orientation >= 5 else size
    return Photo(pixels, width, height)


def _orientation(image: Image.Image) -> int:
    """1 to 8; 1 where there is no EXIF or it is damaged: the pixels are not."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    # Pillow parses EXIF without checking it: SyntaxError, struct.error, TypeError, ...
    except Exception:
        return 1
    return value if value in _UPRIGHT else 1


def turned_upright(image: Image.Image, orientation: int) -> Image.Image:
    """The picture as its EXIF orientation means it; 1 and unknown values change nothing."""
    return image.transpose(_UPRIGHT[orientation]) if orientation in _UPRIGHT else image


def _to_rgb(image: Image.Image, name: str) -> NDArray[np.uint8]:
    """Grayscale, palette, CMYK, more than 8 bits and alpha as sRGB; transparency shows white."""
    if image.mode == "F" or image.mode.startswith("I"):
        gray = _scaled_to_8_bits(np.asarray(image), image.mode, name)
        return np.repeat(gray[..., None], 3, axis=2)
    if image.has_transparency_data:
        rgba = _to_srgb(image.convert("RGBA"))
        backdrop = Image.new("RGBA", rgba.size, (*BACKGROUND, 255))
        return np.asarray(Image.alpha_composite(backdrop, rgba).convert("RGB"))
    image = _to_srgb(image)
    # `convert` copies even what is RGB already.
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


def _to_srgb(image: Image.Image) -> Image.Image:
    """The colors that a photo's ICC profile means; without one they are sRGB.

    Phones write Display P3, cameras Adobe RGB: the same numbers are other colors there. A damaged
    profile, or one of another color model than the pixels, counts as none.
    """
    embedded = image.info.get("icc_profile")
    if not embedded or image.mode not in ("RGB", "RGBA", "CMYK"):
        return image
    try:
        profile = ImageCms.ImageCmsProfile(io.BytesIO(embedded))
        # Converting what is sRGB already would only round it anew.
        if "sRGB" in ImageCms.getProfileDescription(profile):
            return image
        wanted = "RGBA" if image.mode == "RGBA" else "RGB"
        srgb = ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(image, profile, srgb, outputMode=wanted)
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return image if converted is None else converted


def _scaled_to_8_bits(values: NDArray[Any], mode: str, name: str) -> NDArray[np.uint8]:
    """Integers of more than 8 bits, or floating-point numbers, by the range they lie in.

    16-bit files mean 65535 by white, but cameras' and microscopes' 8, 10 and 12 bits come in them
    too, and would be read as black.
    """
    if mode == "F" and not np.isfinite(values).all():
        raise DataError(f"image {name} cannot be read: it has values that are not finite numbers")
    lowest, highest = float(values.min()), float(values.max())
    if mode == "F" and lowest >= 0 and highest <= 1:
        white = 1.0
    else:
        whites = (255, 1023, 4095, 65535) if mode != "F" else (255, 65535)
        white = next((float(white) for white in whites if highest <= white), 0.0)
    if lowest < 0 or not white:
        raise DataError(
            f"image {name} cannot be read: its values lie between {lowest:g} and {highest:g}, "
            "and only 0 to 1, 0 to 255 and 0 to 65535 have a meaning: save it with 8 bits"
        )
    if white == 65535 and mode != "F":
        return (values >> 8).astype(np.uint8)
    scale: Callable[[Any], Any] = np.rint if mode == "F" else np.floor
    scaled: NDArray[np.uint8] = scale(values * (255 / white)).astype(np.uint8)
    return scaled

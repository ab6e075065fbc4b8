"""Photos of every kind come out as the same upright RGB array."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sqsam_deploy.datasets import ImageRecord, load_image
from sqsam_deploy.errors import DataError


def _record(path: Path, width: int, height: int) -> ImageRecord:
    return ImageRecord(path.stem, path, width, height, ())


def _left_red(width: int = 40, height: int = 20) -> np.ndarray:
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[:, : width // 2, 0] = 255
    return pixels


def test_exif_orientation_is_applied(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate 90 degrees clockwise: the left half comes to the top
    path = tmp_path / "rotated.png"
    Image.fromarray(_left_red()).save(path, exif=exif)
    pixels = load_image(_record(path, width=20, height=40))
    assert (pixels[:20] == (255, 0, 0)).all()
    assert (pixels[20:] == 0).all()


def test_exif_orientation_is_ignored_where_the_masks_ignored_it(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "rotated.png"
    Image.fromarray(_left_red()).save(path, exif=exif)
    assert np.array_equal(load_image(_record(path, width=40, height=20)), _left_red())


def test_grayscale_of_8_and_16_bits(tmp_path):
    ramp = np.arange(256, dtype=np.uint8).reshape(16, 16)
    Image.fromarray(ramp).save(tmp_path / "8.png")
    Image.fromarray(ramp.astype(np.uint16) << 8).save(tmp_path / "16.png")
    for name in ("8.png", "16.png"):
        pixels = load_image(_record(tmp_path / name, 16, 16))
        assert np.array_equal(pixels, np.repeat(ramp[..., None], 3, axis=2))


def test_cmyk_ink_becomes_light(tmp_path):
    path = tmp_path / "ink.tif"
    Image.new("CMYK", (8, 8), (0, 255, 255, 0)).save(path)
    assert (load_image(_record(path, 8, 8)) == (255, 0, 0)).all()


@pytest.mark.parametrize("mode", ["RGBA", "LA", "PA"])
def test_transparent_pixels_show_white(tmp_path, mode):
    rgba = np.zeros((4, 4, 4), np.uint8)
    rgba[:, 2:, 3] = 255  # black where it is opaque
    path = tmp_path / "alpha.png"
    image = Image.fromarray(rgba)
    if mode == "PA":
        palette = image.convert("P")
        palette.putpalette([0, 0, 0] * 256)
        indices = np.zeros((4, 4), np.uint8)
        indices[:, 2:] = 1
        palette.putdata(indices.ravel().tolist())
        palette.save(path, transparency=0)
    else:
        image.convert(mode).save(path)
    pixels = load_image(_record(path, 4, 4))
    assert (pixels[:, :2] == 255).all()
    assert (pixels[:, 2:] == 0).all()


def test_a_truncated_file_is_named(tmp_path):
    path = tmp_path / "cut.jpg"
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    Image.fromarray(noise).save(path)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(DataError, match=r"cut\.jpg cannot be read"):
        load_image(_record(path, 64, 64))


def test_a_file_that_is_not_an_image_is_named(tmp_path):
    path = tmp_path / "page.jpg"
    path.write_text("<html>")
    with pytest.raises(DataError, match=r"page\.jpg cannot be read"):
        load_image(_record(path, 64, 64))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"gone\.jpg does not exist"):
        load_image(_record(tmp_path / "gone.jpg", 64, 64))


def test_an_image_of_another_size_than_stated_is_refused(tmp_path):
    path = tmp_path / "small.png"
    Image.fromarray(_left_red()).save(path)
    with pytest.raises(DataError, match="40x20 pixels, the dataset states 41x20"):
        load_image(_record(path, 41, 20))

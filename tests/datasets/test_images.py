"""Photos of every kind come out as the same upright RGB array."""

import io
import os
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from sqsam_deploy.datasets import ImageRecord, decode_image, load_image, read_image, read_photo
from sqsam_deploy.datasets.mask_files import FileMask
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


def test_what_is_no_file_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    for path in tmp_path.iterdir():
        with pytest.raises(DataError, match=rf"{path.name} is no file"):
            read_image(path)
        with pytest.raises(DataError, match=rf"{path.name} is no file"):
            load_image(_record(path, 64, 64))


def test_an_image_of_another_size_than_stated_is_refused(tmp_path):
    path = tmp_path / "small.png"
    Image.fromarray(_left_red()).save(path)
    with pytest.raises(DataError, match="40x20 pixels, the dataset states 41x20"):
        load_image(_record(path, 41, 20))


RAMP = np.arange(256, dtype=np.uint8).reshape(16, 16)
GRAY = np.repeat(RAMP[..., None], 3, axis=2)


@pytest.mark.parametrize(
    ("pixels", "tolerance"),
    [
        (RAMP.astype(np.float32) / 255, 0),
        (RAMP.astype(np.float32), 0),
        (RAMP.astype(np.float32) * 257, 0),
        (RAMP.astype(np.int32), 0),
        (RAMP.astype(np.int32) * 257, 0),
        (RAMP.astype(np.uint16), 0),  # 8 bits in 16
        (RAMP.astype(np.uint16) * 4, 2),  # 10 bits
        (RAMP.astype(np.uint16) * 16, 1),  # 12 bits
        (RAMP.astype(np.uint16) * 257, 0),
    ],
)
def test_no_depth_of_a_tiff_is_read_as_black(tmp_path, pixels, tolerance):
    Image.fromarray(pixels).save(tmp_path / "a.tif")
    read = read_image(tmp_path / "a.tif").astype(int)
    assert np.abs(read - GRAY).max() <= tolerance


@pytest.mark.parametrize(
    "values", [(-1.0, 1.0), (0.0, 1e6), (float("nan"), 1.0), (0.0, float("inf"))]
)
def test_floating_point_values_without_a_meaning_are_refused(tmp_path, values):
    Image.fromarray(np.array([values], np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=r"a\.tif"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("format", ["EPS", "DDS", "PCX", "TGA", "PPM", "ICO", "SGI"])
def test_only_the_formats_of_photos_are_opened(tmp_path, format):
    Image.new("RGB", (32, 32)).save(tmp_path / "a.jpg", format=format)
    with pytest.raises(DataError, match="JPEG, PNG, WebP"):
        read_image(tmp_path / "a.jpg")
    with pytest.raises(DataError, match="mask"):
        FileMask(tmp_path / "a.jpg", 32, 32).decode()
    with pytest.raises(DataError, match="JPEG"):
        decode_image((tmp_path / "a.jpg").read_bytes(), "the upload")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF", "AVIF", "MPO"])
def test_the_formats_of_photos_are_opened(tmp_path, format):
    Image.fromarray(_left_red()).save(tmp_path / "a", format=format)
    assert np.abs(read_image(tmp_path / "a").astype(int) - _left_red()).mean() < 12


def test_a_heic_photo_is_told_what_to_do(tmp_path):
    (tmp_path / "a.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
    with pytest.raises(DataError, match="pillow-heif"):
        read_image(tmp_path / "a.heic")


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_that_of_pillow(tmp_path, format, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    noise = np.random.default_rng(0).integers(0, 255, (24, 40, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "a", format=format, exif=exif)
    with Image.open(tmp_path / "a") as image:
        expected = np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    np.testing.assert_array_equal(read_image(tmp_path / "a"), expected)


def test_damaged_exif_does_not_cost_the_photo(tmp_path):
    for number in range(40):
        exif = b"Exif\0\0" + np.random.default_rng(number).bytes(60)
        Image.fromarray(_left_red()).save(tmp_path / "a.png", exif=exif)
        assert (read_image(tmp_path / "a.png") == _left_red()).mean() > 0.4


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_a_photo_of_many_pixels_is_reduced_and_says_by_how_much(tmp_path, monkeypatch, suffix):
    exif = Image.Exif()
    exif[0x0112] = 6
    large = np.kron(_left_red(40, 24), np.ones((8, 8, 1), np.uint8))
    Image.fromarray(large).save(tmp_path / f"a.{suffix}", exif=exif)
    # Instead of a photo of 67 megapixels.
    monkeypatch.setattr("sqsam_deploy.datasets.images.FULL_PIXELS", large.size // 3 // 4)
    photo = read_photo(tmp_path / f"a.{suffix}")
    assert (photo.width, photo.height) == (192, 320)
    assert photo.pixels.shape == (160, 96, 3)
    assert photo.scale == (0.5, 0.5)
    assert (photo.pixels[:78, :, 0] > 240).all() and (photo.pixels[82:] < 16).all()


def test_a_photo_of_too_many_pixels_is_refused_before_it_is_decoded(tmp_path):
    Image.new("RGB", (4, 3)).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    # A PNG's first chunk: length, name, 13 bytes that begin with width and height, checksum.
    header = b"IHDR" + struct.pack(">II", 20_000, 15_000) + content[24:29]
    checksum = struct.pack(">I", zlib.crc32(header))
    (tmp_path / "a.png").write_bytes(content[:12] + header + checksum + content[33:])
    with pytest.raises(DataError, match=r"a\.png has 20000x15000 pixels.*smaller"):
        read_image(tmp_path / "a.png")


def test_damaged_photos_are_read_or_refused(tmp_path):
    """Bytes changed at random: an array or a sentence, whatever the decoder stumbles over."""
    outcomes = set()
    for format in ("JPEG", "PNG", "WEBP", "TIFF", "BMP", "GIF"):
        buffer = io.BytesIO()
        Image.fromarray(_left_red()).save(buffer, format)
        rng = np.random.default_rng(0)
        for _ in range(60):
            content = bytearray(buffer.getvalue())
            for place in rng.integers(0, min(len(content), 300), 4):
                content[place] = rng.integers(256)
            try:
                decode_image(bytes(content), "the upload")
                outcomes.add("read")
            except DataError as error:
                assert "the upload" in str(error)
                outcomes.add("refused")
    assert outcomes == {"read", "refused"}


#: Primaries of Display P3, adapted to D50 (SMPTE EG 432-1; columns red, green, blue of XYZ).
P3_TO_XYZ = np.array(
    [[0.5151, 0.2920, 0.1571], [0.2412, 0.6922, 0.0666], [-0.0011, 0.0419, 0.7841]]
)
#: sRGB's, from its ICC profile.
SRGB_TO_XYZ = np.array(
    [[0.4360, 0.3851, 0.1431], [0.2225, 0.7169, 0.0606], [0.0139, 0.0971, 0.7141]]
)


def profile(name: str, to_xyz: np.ndarray, gamma: float = 2.2) -> bytes:
    """A matrix profile (ICC.1:2001): header, table of tags, tags."""

    def xyz(values) -> bytes:
        return b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in values))

    curve = b"curv\0\0\0\0" + struct.pack(">IH", 1, round(gamma * 256)) + b"\0\0"
    text = name.encode() + b"\0"
    description = b"desc\0\0\0\0" + struct.pack(">I", len(text)) + text + bytes(78)
    tags = {b"desc": description, b"wtpt": xyz((0.9642, 1, 0.8249))}
    tags |= {b"%cXYZ" % c: xyz(column) for c, column in zip(b"rgb", to_xyz.T, strict=True)}
    tags |= {b"%cTRC" % c: curve for c in b"rgb"}
    table, body, start = b"", b"", 132 + 12 * len(tags)
    for key, content in tags.items():
        table += key + struct.pack(">II", start + len(body), len(content))
        body += content + bytes(-len(content) % 4)
    head = struct.pack(
        ">I4sI4s4s4s", start + len(body), b"\0\0\0\0", 0x02400000, b"mntr", b"RGB ", b"XYZ "
    )
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head.ljust(128, b"\0") + struct.pack(">I", len(tags)) + table + body


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_the_colors_of_a_wide_profile_become_srgb(tmp_path, mode):
    colors = np.array([[[200, 60, 40], [20, 180, 90], [128, 128, 128], [90, 90, 200]]], np.uint8)
    path = tmp_path / "p3.png"
    p3 = profile("Display P3", P3_TO_XYZ)
    Image.fromarray(colors).convert(mode).save(path, icc_profile=p3)
    light = (colors / 255) ** 2.2 @ P3_TO_XYZ.T @ np.linalg.inv(SRGB_TO_XYZ).T
    light = np.clip(light, 0, 1)
    curve = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    found = read_image(path)
    assert np.abs(found - curve * 255).max() <= 2
    assert np.abs(found.astype(int) - colors).max() > 15


@pytest.mark.parametrize("content", [b"no profile", profile("sRGB IEC61966-2.1", SRGB_TO_XYZ)])
def test_damaged_and_srgb_profiles_change_nothing(tmp_path, content):
    colors = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    Image.fromarray(colors).save(tmp_path / "a.png", icc_profile=content)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), colors)

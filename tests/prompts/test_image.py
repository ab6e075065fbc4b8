import numpy as np
import pytest
import torch

from sqsam_deploy.datasets import bundled_dataset, load_image
from sqsam_deploy.errors import DataError
from sqsam_deploy.model.config import NANO, RELEASE_2023_12
from sqsam_deploy.prompts import prepare_image
from sqsam_deploy.vectors import pattern


@pytest.fixture(scope="module")
def photo():
    return load_image(next(iter(bundled_dataset("sample"))))


def interpolated(image: np.ndarray, size: int, antialias: bool) -> np.ndarray:
    pixels = torch.tensor(image).permute(2, 0, 1)[None].double()
    resized = torch.nn.functional.interpolate(
        pixels, (size, size), mode="bilinear", align_corners=False, antialias=antialias
    )
    return resized[0].permute(1, 2, 0).numpy()


def test_the_release_is_stretched_as_torch_interpolates_without_antialias(photo):
    square = prepare_image(photo, RELEASE_2023_12)
    assert square.shape == (512, 512, 3)
    assert square.dtype == np.uint8
    expected = interpolated(photo, 512, antialias=False)
    assert np.abs(square - expected).max() <= 0.5 + 1e-3


def test_the_number_of_threads_changes_no_pixel():
    # Sides of which many pixels lie between two values of 8 bits: torch's kernels round them apart.
    image = pattern(100, 150)
    before = torch.get_num_threads()
    squares = []
    for count in (1, 2):
        torch.set_num_threads(count)
        squares.append(prepare_image(image, RELEASE_2023_12))
    torch.set_num_threads(before)
    np.testing.assert_array_equal(*squares)


def test_other_presets_are_filtered_before_they_are_reduced(photo):
    square = prepare_image(photo, NANO)
    assert square.shape == (256, 256, 3)
    # torch's antialiased interpolation is the same filter; Pillow rounds between its two passes.
    expected = interpolated(photo, 256, antialias=True)
    assert np.abs(square - expected).max() <= 2
    assert np.abs(square - interpolated(photo, 256, antialias=False)).max() > 20


@pytest.mark.parametrize("config", [NANO, RELEASE_2023_12], ids=lambda config: config.name)
def test_an_image_of_the_networks_size_stays_as_it_is(config):
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (config.image_size, config.image_size, 3), np.uint8)
    np.testing.assert_array_equal(prepare_image(image, config), image)


@pytest.mark.parametrize("shape", [(1, 1), (1, 900), (900, 1), (3, 7)])
def test_tiny_and_thin_images_are_stretched_too(shape):
    image = np.full((*shape, 3), 77, np.uint8)
    assert (prepare_image(image, NANO) == 77).all()


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.uint8),
        np.zeros((4, 4, 3), np.float32),
        np.zeros((0, 4, 3), np.uint8),
    ],
)
def test_what_is_no_rgb_image_is_refused(wrong):
    with pytest.raises(DataError, match="HxWx3 uint8"):
        prepare_image(wrong, NANO)

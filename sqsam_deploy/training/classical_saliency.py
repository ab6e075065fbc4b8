"""Saliency without learning, the yardstick of the saliency network's card."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

#: Side at which the spectral residual is taken; the paper uses 64 pixels.
SPECTRAL_SIZE = 64


def spectral_residual(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """The part of the log spectrum that its local mean does not explain (Hou and Zhang, CVPR 2007).

    Args:
        image: HxWx3 uint8 RGB.

    Returns:
        HxW in [0, 1].
    """
    from scipy import ndimage

    height, width = image.shape[:2]
    gray = Image.fromarray(image).convert("L").resize((SPECTRAL_SIZE, SPECTRAL_SIZE))
    spectrum = np.fft.fft2(np.asarray(gray, np.float64))
    amplitude = np.log(np.abs(spectrum) + 1e-9)
    residual = amplitude - ndimage.uniform_filter(amplitude, 3, mode="wrap")
    energy = np.abs(np.fft.ifft2(np.exp(residual + 1j * np.angle(spectrum)))) ** 2
    smooth = _normalize(ndimage.gaussian_filter(energy, 2.5))
    resized = Image.fromarray(smooth).resize((width, height), Image.Resampling.BILINEAR)
    return np.asarray(resized)


def frequency_tuned(image: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Distance of each slightly blurred pixel to the mean color, in CIE Lab (Achanta, CVPR 2009).

    Args:
        image: HxWx3 uint8 RGB.

    Returns:
        HxW in [0, 1].
    """
    from scipy import ndimage

    lab = srgb_to_lab(image)
    # The paper's 5x5 binomial kernel.
    kernel = np.array([1, 4, 6, 4, 1]) / 16
    blurred = ndimage.convolve1d(ndimage.convolve1d(lab, kernel, axis=0), kernel, axis=1)
    return _normalize(((blurred - lab.mean(axis=(0, 1))) ** 2).sum(axis=2))


def srgb_to_lab(image: NDArray[np.uint8]) -> NDArray[np.float64]:
    """HxWx3 uint8 sRGB to CIE Lab under D65 (IEC 61966-2-1, CIE 15)."""
    encoded = image / 255.0
    linear = np.where(encoded <= 0.04045, encoded / 12.92, ((encoded + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array(
        [
            [0.4124564, 0.3575761, 0.1804375],
            [0.2126729, 0.7151522, 0.0721750],
            [0.0193339, 0.1191920, 0.9503041],
        ]
    )
    white = to_xyz.sum(axis=1)
    ratio = linear @ to_xyz.T / white
    cube = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio * (29 / 6) ** 2 / 3 + 4 / 29)
    x, y, z = np.moveaxis(cube, 2, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], axis=2)


def _normalize(values: NDArray[np.float64]) -> NDArray[np.float32]:
    span = max(float(values.max() - values.min()), 1e-12)
    scaled: NDArray[np.float32] = ((values - values.min()) / span).astype(np.float32)
    return scaled

"""Windows and norms, which coremltools cannot evaluate: against plain loops in numpy."""

import itertools
from collections.abc import Sequence

import numpy as np
import pytest

from sqsam_deploy.errors import ArtifactError
from tests.runtimes.coreml.reference.mil_evaluation import by_executor

RNG = np.random.default_rng(1)


def values(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


def looped_conv(
    x: np.ndarray,
    weight: np.ndarray,
    pads: Sequence[int],
    strides: Sequence[int],
    dilations: Sequence[int],
    groups: int,
) -> np.ndarray:
    """The definition: a sum over the window at every place."""
    top, bottom, left, right = pads
    padded = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    batch, _, height, width = padded.shape
    out_channels, group_channels, kh, kw = weight.shape
    out_h = (height - (kh - 1) * dilations[0] - 1) // strides[0] + 1
    out_w = (width - (kw - 1) * dilations[1] - 1) // strides[1] + 1
    out = np.zeros((batch, out_channels, out_h, out_w), np.float64)
    for b, k, i, j in np.ndindex(*out.shape):
        first = k // (out_channels // groups) * group_channels
        for c, u, v in np.ndindex(group_channels, kh, kw):
            y, z = i * strides[0] + u * dilations[0], j * strides[1] + v * dilations[1]
            out[b, k, i, j] += padded[b, first + c, y, z] * weight[k, c, u, v]
    return out


@pytest.mark.parametrize(
    ("pad_type", "pad", "strides", "dilations", "groups", "pads"),
    [
        ("valid", [0, 0, 0, 0], [2, 2], [1, 1], 1, (0, 0, 0, 0)),
        ("custom", [1, 1, 1, 1], [1, 1], [1, 1], 1, (1, 1, 1, 1)),
        ("custom", [0, 2, 1, 0], [1, 2], [1, 1], 1, (0, 2, 1, 0)),
        ("custom", [2, 2, 2, 2], [1, 1], [2, 2], 2, (2, 2, 2, 2)),
        # 7 rows and 6 columns at stride 2 need 4x3 outputs: 2 rows and 1 column of padding.
        ("same", None, [2, 2], [1, 1], 1, (1, 1, 0, 1)),
        ("same_lower", None, [2, 2], [1, 1], 1, (1, 1, 1, 0)),
    ],
)
def test_conv_is_the_sum_over_its_window(
    pad_type: str,
    pad: list[int] | None,
    strides: list[int],
    dilations: list[int],
    groups: int,
    pads: tuple[int, ...],
) -> None:
    x, weight, bias = values(1, 4, 7, 6), values(6, 4 // groups, 3, 3), values(6)
    actual = by_executor(
        "conv",
        x=x,
        weight=weight,
        bias=bias,
        strides=strides,
        pad_type=pad_type,
        pad=pad,
        dilations=dilations,
        groups=groups,
    )
    expected = looped_conv(x, weight, pads, strides, dilations, groups) + bias[:, None, None]
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("pad", [None, [0, 1, 1, 0]])
def test_conv_transpose_adds_a_weighted_kernel_for_every_pixel(pad: list[int] | None) -> None:
    x, weight, bias = values(1, 3, 4, 5), values(3, 2, 2, 2), values(2)
    full = np.zeros((1, 2, 8, 10)) + bias[:, None, None]
    for c, i, j in itertools.product(range(3), range(4), range(5)):
        full[0, :, 2 * i : 2 * i + 2, 2 * j : 2 * j + 2] += x[0, c, i, j] * weight[c]
    expected = full if pad is None else full[:, :, 0:-1, 1:]
    actual = by_executor(
        "conv_transpose",
        x=x,
        weight=weight,
        bias=bias,
        strides=[2, 2],
        pad_type="valid" if pad is None else "custom",
        pad=pad,
        output_shape=list(expected.shape),
    )
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_conv_transpose_refuses_an_output_shape_it_does_not_reach() -> None:
    with pytest.raises(ArtifactError, match="output padding"):
        by_executor(
            "conv_transpose",
            x=values(1, 3, 4, 4),
            weight=values(3, 2, 2, 2),
            strides=[2, 2],
            output_shape=[1, 2, 9, 9],
        )


def test_max_pool_takes_the_largest_of_each_window_and_never_the_padding() -> None:
    x = values(1, 2, 4, 6) - 10
    actual = by_executor(
        "max_pool", x=x, kernel_sizes=[2, 2], strides=[2, 2], pad_type="custom", pad=[0, 0, 0, 0]
    )
    blocks = x.reshape(1, 2, 2, 2, 3, 2)
    np.testing.assert_array_equal(actual, blocks.max((3, 5)))
    padded = by_executor(
        "max_pool", x=x, kernel_sizes=[3, 3], strides=[1, 1], pad_type="same", pad=None
    )
    assert padded.shape == x.shape
    assert padded.max() < 0
    np.testing.assert_array_equal(padded[0, :, 0, 0], x[0, :, :2, :2].max((1, 2)))


def test_max_pool_refuses_ceil_mode() -> None:
    with pytest.raises(ArtifactError, match="ceil_mode"):
        by_executor(
            "max_pool", x=values(1, 1, 5, 5), kernel_sizes=[2, 2], pad_type="valid", ceil_mode=True
        )


@pytest.mark.parametrize("axes", [[-1], [1, 2, 3], [1]])
def test_layer_norm_has_zero_mean_and_unit_variance_over_its_axes(axes: list[int]) -> None:
    x = values(2, 3, 4, 5) * 3 + 1
    sizes = [x.shape[axis] for axis in axes]
    gamma, beta = values(*sizes), values(*sizes)
    where = tuple(axis % 4 for axis in axes)
    mean = x.mean(where, keepdims=True)
    deviation = np.sqrt(((x - mean) ** 2).mean(where, keepdims=True) + 1e-3)
    shape = [x.shape[axis] if axis in where else 1 for axis in range(4)]
    expected = (x - mean) / deviation * gamma.reshape(shape) + beta.reshape(shape)
    actual = by_executor("layer_norm", x=x, axes=axes, gamma=gamma, beta=beta, epsilon=1e-3)
    np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-5)


def test_batch_norm_is_an_affine_map_of_each_channel() -> None:
    x, mean, gamma, beta = values(2, 3, 4, 5), values(3), values(3), values(3)
    variance = values(3) ** 2
    actual = by_executor(
        "batch_norm", x=x, mean=mean, variance=variance, gamma=gamma, beta=beta, epsilon=1e-3
    )
    for c in range(3):
        expected = (x[:, c] - mean[c]) / np.sqrt(variance[c] + 1e-3) * gamma[c] + beta[c]
        np.testing.assert_allclose(actual[:, c], expected, rtol=1e-4, atol=1e-5)


def test_pixel_shuffle_lays_four_channels_into_each_square() -> None:
    x = values(1, 8, 2, 3)
    actual = by_executor("pixel_shuffle", x=x, upscale_factor=2)
    for c, i, j, u, v in itertools.product(range(2), range(2), range(3), range(2), range(2)):
        assert actual[0, c, 2 * i + u, 2 * j + v] == x[0, 4 * c + 2 * u + v, i, j]


@pytest.mark.parametrize(("mode", "numpy_mode"), [("reflect", "reflect"), ("replicate", "edge")])
def test_pad_mirrors_or_repeats_the_border(mode: str, numpy_mode: str) -> None:
    x = values(1, 2, 4, 5)
    actual = by_executor("pad", x=x, pad=[1, 2, 3, 1], mode=mode)
    np.testing.assert_array_equal(
        actual, np.pad(x, ((0, 0), (0, 0), (1, 2), (3, 1)), mode=numpy_mode)
    )

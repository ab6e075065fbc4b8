"""Operators that coremltools itself can evaluate on constants, in every variant that occurs."""

from typing import Any

import numpy as np
import pytest

from tests.runtimes.coreml.reference.mil_evaluation import by_coremltools, by_executor

RNG = np.random.default_rng(0)


def values(*shape: int) -> np.ndarray:
    return RNG.normal(size=shape).astype(np.float32)


X234 = values(2, 3, 4)
INT8 = RNG.integers(-128, 128, (4, 3, 2), dtype=np.int8)
UINT8 = RNG.integers(0, 256, (4, 3, 2), dtype=np.uint8)
SCALES3 = np.array([0.5, 0.25, 2.0], np.float32)

CASES: list[tuple[str, dict[str, Any]]] = [
    ("add", {"x": X234, "y": values(3, 1)}),
    ("sub", {"x": np.float32(1.0), "y": X234}),
    ("mul", {"x": X234, "y": np.float32(-0.3)}),
    ("real_div", {"x": X234, "y": values(4)}),
    ("maximum", {"x": X234, "y": values(3, 1)}),
    ("minimum", {"x": X234, "y": values(3, 1)}),
    ("abs", {"x": X234}),
    ("sin", {"x": X234 * 9}),
    ("cos", {"x": X234 * 9}),
    ("square", {"x": X234}),
    ("sqrt", {"x": np.abs(X234)}),
    ("rsqrt", {"x": np.abs(X234), "epsilon": np.float32(0.1)}),
    ("relu", {"x": X234}),
    ("relu6", {"x": X234 * 9}),
    ("sigmoid", {"x": X234}),
    ("clip", {"x": X234, "alpha": np.float32(-0.5), "beta": np.float32(0.25)}),
    ("softmax", {"x": X234, "axis": -1}),
    ("softmax", {"x": X234, "axis": 1}),
    ("reduce_mean", {"x": X234, "axes": [1, -1], "keep_dims": True}),
    ("reduce_mean", {"x": X234, "axes": [0], "keep_dims": False}),
    ("reduce_sum", {"x": X234, "axes": [1], "keep_dims": True}),
    ("reduce_max", {"x": X234, "axes": [2], "keep_dims": False}),
    ("reshape", {"x": X234, "shape": [4, -1]}),
    ("reshape", {"x": X234, "shape": [1, 2, 12]}),
    ("transpose", {"x": X234, "perm": [2, 0, 1]}),
    ("transpose", {"x": X234, "perm": [0, -1, -2]}),
    ("expand_dims", {"x": X234, "axes": [0, -1]}),
    ("squeeze", {"x": X234[:1, :, :1], "axes": [0, 2]}),
    ("concat", {"values": [X234, X234 + 1], "axis": 1, "interleave": False}),
    ("concat", {"values": [X234, X234 + 1], "axis": -1, "interleave": False}),
    ("stack", {"values": [X234, X234 + 1], "axis": 1}),
    ("slice_by_index", {"x": X234, "begin": [0, 1, 0], "end": [2, 3, 4], "stride": [1, 1, 2]}),
    (
        "slice_by_index",
        {
            "x": X234,
            "begin": [0, 1, -3],
            "end": [0, 2, -1],
            "begin_mask": [True, False, False],
            "end_mask": [True, False, False],
            "squeeze_mask": [False, True, False],
        },
    ),
    ("slice_by_size", {"x": X234, "begin": [0, 1, 2], "size": [2, -1, 1]}),
    ("gather", {"x": X234, "indices": np.array([2, 0], np.int32), "axis": 1}),
    ("tile", {"x": X234, "reps": [1, 2, 3]}),
    ("pad", {"x": X234, "pad": [0, 1, 2, 0], "mode": "constant", "constant_val": np.float32(-7)}),
    ("identity", {"x": X234}),
    ("linear", {"x": values(2, 4), "weight": values(5, 4), "bias": values(5)}),
    ("linear", {"x": values(2, 4), "weight": values(5, 4)}),
    ("matmul", {"x": values(2, 3, 4), "y": values(2, 4, 5)}),
    (
        "matmul",
        {"x": values(2, 4, 3), "y": values(2, 5, 4), "transpose_x": True, "transpose_y": True},
    ),
    ("quantize", {"input": X234 * 99, "scale": np.float32(0.7), "output_dtype": "uint8"}),
    (
        "quantize",
        {
            "input": X234 * 99,
            "scale": np.float32(0.7),
            "zero_point": np.int8(-11),
            "output_dtype": "int8",
        },
    ),
    (
        "quantize",
        {
            "input": X234 * 99,
            "scale": SCALES3,
            "zero_point": np.array([0, 5, -6], np.int8),
            "axis": 1,
            "output_dtype": "int8",
        },
    ),
    ("dequantize", {"input": UINT8, "scale": np.float32(0.3)}),
    ("dequantize", {"input": UINT8, "scale": np.float32(0.3), "zero_point": np.uint8(200)}),
    (
        "constexpr_affine_dequantize",
        {"quantized_data": INT8, "zero_point": np.int8(3), "scale": np.float32(0.1), "axis": 0},
    ),
    (
        "constexpr_affine_dequantize",
        {
            "quantized_data": INT8,
            "zero_point": np.array([0, 7, -128], np.int8),
            "scale": SCALES3,
            "axis": 1,
        },
    ),
    (
        "constexpr_blockwise_shift_scale",
        {
            "data": INT8,
            "scale": values(2, 3, 1) ** 2,
            "offset": RNG.integers(-9, 9, (2, 3, 1), dtype=np.int8),
        },
    ),
    ("constexpr_lut_to_dense", {"indices": UINT8, "lut": values(2, 3, 1, 256, 1)}),
    ("constexpr_lut_to_dense", {"indices": UINT8 // 2, "lut": values(1, 1, 1, 256, 1)}),
]


@pytest.mark.parametrize(
    ("kind", "inputs"), CASES, ids=[f"{i}-{kind}" for i, (kind, _) in enumerate(CASES)]
)
def test_operator_gives_what_coremltools_computes(kind: str, inputs: dict[str, Any]) -> None:
    expected = by_coremltools(kind, **inputs)
    actual = by_executor(kind, **inputs)
    assert actual.shape == expected.shape
    np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-6)


def test_gather_counts_negative_indices_from_the_end() -> None:
    indices = np.array([[-1, 0]], np.int32)
    picked = by_executor("gather", x=X234, indices=indices, axis=2)
    np.testing.assert_array_equal(picked, np.take(X234, [[3, 0]], axis=2))


def test_an_interleaved_concat_alternates_the_channels() -> None:
    joined = by_executor("concat", values=[X234, -X234], axis=1, interleave=True)
    np.testing.assert_array_equal(joined[:, 0::2], X234)
    np.testing.assert_array_equal(joined[:, 1::2], -X234)

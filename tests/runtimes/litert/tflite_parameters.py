"""Int8 weights and scales as they stand in a `.tflite`, read through LiteRT's own interpreter."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tests.runtimes.quantized_parameters import QuantizedParameter, _is_upsampling, _upsampling

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter


def of_tflite(path: Path) -> list[QuantizedParameter]:
    """Weights of convolutions and linear layers: every int8 constant with a scale a channel.

    LiteRT keeps them as (out, rows, columns, in) already, linear ones as (out, in).
    """
    found = []
    for index, tensor in _tensors(path).items():
        scales = tensor["quantization_parameters"]["scales"]
        if tensor["dtype"] != np.int8 or len(scales) < 2:
            continue
        assert tensor["quantization_parameters"]["quantized_dimension"] == 0, index
        found.append(_parameter(tensor["values"], scales))
    return found


def _parameter(values: np.ndarray, scales: np.ndarray) -> QuantizedParameter:
    planes = values.reshape(len(values), -1, 1, 1)
    if values.shape[1:3] == (1, 1) and values.ndim == 4 and _is_upsampling(planes, scales):
        return _upsampling(planes, scales)
    return QuantizedParameter(values, scales)


def activation_scales_of_tflite(path: Path) -> set[tuple[np.float32, int]]:
    """(scale, zero point) of every quantized activation."""
    found = set()
    for tensor in _tensors(path).values():
        scale = tensor["quantization_parameters"]
        if tensor["dtype"] == np.int8 and len(scale["scales"]) == 1 and tensor["values"] is None:
            found.add((np.float32(scale["scales"][0]), int(scale["zero_points"][0])))
    return found


def operators_of_tflite(path: Path) -> tuple[list[tuple[str, list[int]]], dict[int, type]]:
    """Operators as (name, numbers of the tensors that they read), and the type of each tensor."""
    interpreter = _without_delegates(path)
    kinds = {tensor["index"]: tensor["dtype"] for tensor in interpreter.get_tensor_details()}
    operators = [
        (node["op_name"], [int(index) for index in node["inputs"]])
        for node in interpreter._get_ops_details()
    ]
    return operators, kinds


def _without_delegates(path: Path) -> "Interpreter":
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
    return Interpreter(model_path=str(path), experimental_op_resolver_type=plain)


def _tensors(path: Path) -> dict[int, dict]:
    """Every tensor by its number; `values` are a constant's."""
    interpreter = _without_delegates(path)
    computed = {int(i) for node in interpreter._get_ops_details() for i in node["outputs"]}
    given = {tensor["index"] for tensor in interpreter.get_input_details()}
    return {
        tensor["index"]: {
            **tensor,
            "values": None
            if tensor["index"] in computed | given
            else interpreter.get_tensor(tensor["index"]),
        }
        for tensor in interpreter.get_tensor_details()
        if tensor["name"]
    }

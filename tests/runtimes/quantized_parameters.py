"""Int8 weights and scales as they stand in a program and in the files made from it.

Every reader returns the weights with one order of axes (output channel, kernel rows, kernel
columns, input channel), so that what the runtimes permute on the way can be compared.
"""

import json
import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from onnx import numpy_helper
from torch.export import ExportedProgram
from torch.fx import Node

Int8 = npt.NDArray[np.int8]
Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class QuantizedParameter:
    """One weight: int8 values with the output channel first, one scale an output channel."""

    values: Int8
    scales: Floats

    @property
    def identity(self) -> bytes:
        """Equal for equal values in equal order, whatever a file calls the weight."""
        return np.ascontiguousarray(self.values.reshape(len(self.values), -1)).tobytes()


def scales_by_weight(parameters: list[QuantizedParameter]) -> dict[bytes, Floats]:
    """Scales, keyed by the weights themselves."""
    return {parameter.identity: parameter.scales for parameter in parameters}


def convolution(values: Int8, scales: Floats, *, transposed: bool) -> QuantizedParameter:
    """From torch's order: (out, in, rows, columns), or (in, out, rows, columns)."""
    order = (1, 2, 3, 0) if transposed else (0, 2, 3, 1)
    return QuantizedParameter(values.transpose(order), scales)


def of_program(program: ExportedProgram) -> list[QuantizedParameter]:
    """Weights of an exported program: every dequantize_per_channel."""
    tensors = {**program.state_dict, **program.constants}
    names = program.graph_signature.inputs_to_buffers | program.graph_signature.inputs_to_parameters

    def read(node: object) -> torch.Tensor:
        assert isinstance(node, Node)
        return tensors[names[node.name]]

    found = []
    for node in program.graph.nodes:
        if "dequantize_per_channel" not in str(node.target):
            continue
        values = read(node.args[0]).detach().numpy()
        scales = read(node.args[1]).detach().numpy()
        linear = values.ndim == 2
        found.append(
            QuantizedParameter(values, scales)
            if linear
            else convolution(values, scales, transposed=node.args[3] == 1)
        )
    return found


def activation_scales_of_program(program: ExportedProgram) -> set[tuple[np.float32, int]]:
    """(scale, zero point) of every activation."""
    return {
        (np.float32(node.args[1]), int(node.args[2]))
        for node in program.graph.nodes
        if "quantize_per_tensor" in str(node.target)
    }


def of_onnx(path: Path) -> list[QuantizedParameter]:
    """Weights of a QDQ file: every DequantizeLinear with an axis over a constant."""
    model = onnx.load(path)
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    found = []
    for node in model.graph.node:
        if node.op_type != "DequantizeLinear" or node.input[0] not in constants:
            continue
        values, scales = constants[node.input[0]], constants[node.input[1]]
        axis = next(a.i for a in node.attribute if a.name == "axis")
        if values.dtype != np.int8:
            continue  # A bias.
        if _is_upsampling(values, scales):
            found.append(_upsampling(values, scales))
        elif values.ndim == 4:
            found.append(convolution(values, scales, transposed=axis == 1))
        else:
            # MatMul takes the transposed weight of a linear layer.
            found.append(QuantizedParameter(values if axis == 0 else values.T, scales))
    return found


def _is_upsampling(values: Int8, scales: Floats) -> bool:
    """Whether this is a 2x2 transposed convolution as a 1x1 one: four times the same scales."""
    quarter = scales[: len(scales) // 4]
    return values.shape[2:] == (1, 1) and np.array_equal(np.tile(quarter, 4), scales)


def _upsampling(values: Int8, scales: Floats) -> QuantizedParameter:
    """From (rows * columns * out, in, 1, 1)."""
    _, channels, _, _ = values.shape
    tiles = values.reshape(2, 2, -1, channels).transpose(2, 0, 1, 3)
    return QuantizedParameter(tiles, scales[: len(scales) // 4])


def activation_scales_of_onnx(path: Path) -> set[tuple[np.float32, int]]:
    """(scale, zero point) of every QuantizeLinear; zero points counted as of int8."""
    model = onnx.load(path)
    constants = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    return {
        (np.float32(constants[node.input[1]]), _signed(constants[node.input[2]]))
        for node in model.graph.node
        if node.op_type == "QuantizeLinear"
    }


def _signed(zero_point: npt.NDArray[np.generic]) -> int:
    """The zero point of the same steps in int8."""
    return int(zero_point) - (128 if zero_point.dtype == np.uint8 else 0)


def of_pte(path: Path) -> list[QuantizedParameter]:
    """Weights of a .pte: every per-channel int8 value of its XNNPACK graphs.

    XNNPACK keeps them as (out, rows, columns, in) already.
    """
    found = []
    for graph, named in _xnnpack_graphs(path):
        for value in graph["xvalues"]:
            found += _per_channel(value["xvalue_union"], graph["constant_data"], named)
    return found


def activation_scales_of_pte(path: Path) -> set[tuple[np.float32, int]]:
    """(scale, zero point) of every quantized activation; flatc prints six decimals of a scale."""
    return {
        (np.float32(quant["scale"]), int(quant.get("zero_point", 0)))
        for graph, _ in _xnnpack_graphs(path)
        for value in graph["xvalues"]
        if value.get("quant_params_type", value["xvalue_union"].get("quant_params_type"))
        == "PerTensorQuant"
        for quant in [value["xvalue_union"]["quant_params"]]
    }


def _per_channel(
    value: dict, constants: list[dict], named: dict[str, bytes]
) -> list[QuantizedParameter]:
    if value.get("quant_params_type") != "PerChannelQuant":
        return []
    tensor, quant = value["tensor_value"], value["quant_params"]
    if tensor["datatype"] != "xnn_datatype_qcint8":
        return []
    weights = _constant(constants, named, tensor["constant_buffer_idx"])
    values = np.frombuffer(weights, np.int8).reshape(tensor["dims"])
    if quant.get("scale"):
        scales = np.array(quant["scale"], np.float32)
    else:
        scales = np.frombuffer(_constant(constants, named, quant["scale_buffer_idx"]), np.float32)
    planes = values.reshape(len(values), -1, 1, 1)
    if _is_upsampling(planes, scales):
        return [_upsampling(planes, scales)]
    return [QuantizedParameter(values, scales)]


def _constant(constants: list[dict], named: dict[str, bytes], index: int) -> bytes:
    return named[constants[index]["named_key"]][: int(constants[index]["size"])]


def _xnnpack_graphs(path: Path) -> list[tuple[dict, dict[str, bytes]]]:
    """The delegates' graphs as their schema's JSON, and the constants they name."""
    from executorch.exir._serialize._program import deserialize_pte_binary

    pte = deserialize_pte_binary(path.read_bytes())
    assert pte.named_data is not None
    named = {
        key: pte.named_data.buffers[entry.buffer_index]
        for key, entry in pte.named_data.pte_data.items()
    }
    return [(_graph_json(bytes(blob.data)), named) for blob in pte.program.backend_delegate_data]


def _graph_json(payload: bytes) -> dict:
    """An XNNPACK payload: 30 bytes of header (offset and size of the flatbuffer), then the data."""
    from executorch.backends.xnnpack.serialization import xnnpack_graph_serialize as serialize
    from executorch.exir._serialize._flatbuffer import _flatc_decompile

    header = serialize.XNNHeader.from_bytes(payload[: serialize.XNNHeader.EXPECTED_LENGTH])
    start = header.flatbuffer_offset
    with tempfile.TemporaryDirectory() as folder:
        schema, binary = Path(folder, "schema.fbs"), Path(folder, "schema.bin")
        schema.write_bytes(serialize._get_schema_bytes())
        binary.write_bytes(payload[start : start + header.flatbuffer_size])
        _flatc_decompile(folder, str(schema), str(binary), ["--raw-binary"])
        text = Path(folder, "schema.json").read_text()
    # flatc writes infinities as C does; JSON readers know them by their full name.
    return json.loads(re.sub(r": (-?)inf\b", r": \1Infinity", text))

"""This processor's best rates: short, large kernels in every library that is measured.

They are subjects like any other and take their turns among them, so that a share of the peak is a
ratio within one run. The peak of a precision is the best of its kernels at the same threads.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from sqsam_deploy.runtimes.executorch import RUNTIME as EXECUTORCH
from sqsam_deploy.runtimes.onnx import RUNTIME as ONNX

if TYPE_CHECKING:
    from torch import Tensor, nn
    from torch.export import ExportedProgram

#: Side of the matrices: 8.6 G multiply-accumulates, beyond every cache.
_MATRIX = 2048
#: Channels and side of the map of the 3x3 convolutions: the shape of the network's own large ones.
_CHANNELS, _SIDE, _KERNEL = 128, 128, 3
#: In a row, so that changing the layout of the input and quantizing it weigh little.
_LAYERS = 4

_MATRIX_MACS = _MATRIX**3
_CONVOLUTION_MACS = _CHANNELS * _CHANNELS * _KERNEL**2 * _SIDE**2 * _LAYERS


@dataclass(frozen=True)
class PeakKernel:
    """One kernel as a file.

    Attributes:
        path: `.onnx` or `.pte`.
        runtime: What runs it.
        precision: "fp32" or "int8".
        macs: Multiply-accumulates of one run.
    """

    path: Path
    runtime: str
    precision: str
    macs: int


def build_peak_kernels(folder: Path) -> list[PeakKernel]:
    """Writes all kernels; takes some seconds, most of them for ExecuTorch's quantizer."""
    return [
        PeakKernel(_onnx_matrix(folder, np.float32), ONNX.name, "fp32", _MATRIX_MACS),
        PeakKernel(_onnx_matrix(folder, np.int8), ONNX.name, "int8", _MATRIX_MACS),
        PeakKernel(_xnnpack_float(folder), EXECUTORCH.name, "fp32", _CONVOLUTION_MACS),
        PeakKernel(_xnnpack_int8(folder), EXECUTORCH.name, "int8", _CONVOLUTION_MACS),
    ]


def _onnx_matrix(folder: Path, dtype: type[np.generic]) -> Path:
    """One product of two square matrices, the second constant as weights are."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    integers = dtype is np.int8
    # MLAS's fastest int8 product on x86-64 takes unsigned activations.
    left = TensorProto.UINT8 if integers else TensorProto.FLOAT
    result = TensorProto.INT32 if integers else TensorProto.FLOAT
    rng = np.random.default_rng(0)
    weights = rng.integers(-127, 128, (_MATRIX, _MATRIX)).astype(dtype)
    shape = [_MATRIX, _MATRIX]
    graph = helper.make_graph(
        [helper.make_node("MatMulInteger" if integers else "MatMul", ["a", "b"], ["c"])],
        "peak",
        [helper.make_tensor_value_info("a", left, shape)],
        [helper.make_tensor_value_info("c", result, shape)],
        [numpy_helper.from_array(weights, "b")],
    )
    path = folder / f"peak-{'int8' if integers else 'fp32'}-matrix.onnx"
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(path))
    return path


def _xnnpack_float(folder: Path) -> Path:
    import torch

    network, inputs = _convolution()
    return _lower(torch.export.export(network, inputs), folder / "peak-fp32-convolution.pte")


def _xnnpack_int8(folder: Path) -> Path:
    import torch
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    network, inputs = _convolution()
    quantizer = XNNPACKQuantizer()
    quantizer.set_global(get_symmetric_quantization_config(is_per_channel=True))
    prepared = prepare_pt2e(torch.export.export(network, inputs).module(), quantizer)
    prepared(*inputs)
    program = torch.export.export(convert_pt2e(prepared), inputs)
    return _lower(program, folder / "peak-int8-convolution.pte")


def _convolution() -> "tuple[nn.Module, tuple[Tensor, ...]]":
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers = [nn.Conv2d(_CHANNELS, _CHANNELS, _KERNEL, padding=1) for _ in range(_LAYERS)]
    return nn.Sequential(*layers).eval(), (torch.randn(1, _CHANNELS, _SIDE, _SIDE),)


def _lower(program: "ExportedProgram", path: Path) -> Path:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    path.write_bytes(lowered.to_executorch().buffer)
    return path

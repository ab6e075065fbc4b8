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

_KERNEL = 3
#: In a row, so that transposing the input and quantizing it weigh little.
_LAYERS = 4


@dataclass(frozen=True)
class KernelSizes:
    """How large the kernels are.

    Attributes:
        matrix: Side of the matrices; 8.6 G multiply-accumulates are beyond every cache.
        channels: Of the 3x3 convolutions; the shape is that of the network's own large ones.
        side: Of the map that they run on.
    """

    matrix: int = 2048
    channels: int = 128
    side: int = 128

    @property
    def matrix_macs(self) -> int:
        """Multiply-accumulates of one product."""
        return self.matrix**3

    @property
    def convolution_macs(self) -> int:
        """Multiply-accumulates of all convolutions in a row."""
        return self.channels**2 * _KERNEL**2 * self.side**2 * _LAYERS


_LARGE = KernelSizes()


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


def build_peak_kernels(folder: Path, sizes: KernelSizes = _LARGE) -> list[PeakKernel]:
    """Writes all kernels; takes some seconds, most of them for ExecuTorch's quantizer."""
    EXECUTORCH.load_compiler()
    product, convolutions = sizes.matrix_macs, sizes.convolution_macs
    return [
        PeakKernel(_onnx_matrix(folder, sizes, np.float32), ONNX.name, "fp32", product),
        PeakKernel(_onnx_matrix(folder, sizes, np.int8), ONNX.name, "int8", product),
        PeakKernel(_xnnpack_float(folder, sizes), EXECUTORCH.name, "fp32", convolutions),
        PeakKernel(_xnnpack_int8(folder, sizes), EXECUTORCH.name, "int8", convolutions),
    ]


def _onnx_matrix(folder: Path, sizes: KernelSizes, dtype: type[np.generic]) -> Path:
    """One product of two square matrices, the second constant as weights are."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    integers = dtype is np.int8
    # MLAS's fastest int8 product on x86-64 takes unsigned activations.
    left = TensorProto.UINT8 if integers else TensorProto.FLOAT
    result = TensorProto.INT32 if integers else TensorProto.FLOAT
    rng = np.random.default_rng(0)
    shape = [sizes.matrix, sizes.matrix]
    weights = rng.integers(-127, 128, shape).astype(dtype)
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


def _xnnpack_float(folder: Path, sizes: KernelSizes) -> Path:
    import torch

    network, inputs = _convolutions(sizes)
    return _lower(torch.export.export(network, inputs), folder / "peak-fp32-convolution.pte")


def _xnnpack_int8(folder: Path, sizes: KernelSizes) -> Path:
    import torch
    from executorch.backends.xnnpack.quantizer.xnnpack_quantizer import (
        XNNPACKQuantizer,
        get_symmetric_quantization_config,
    )
    from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

    network, inputs = _convolutions(sizes)
    quantizer = XNNPACKQuantizer()
    quantizer.set_global(get_symmetric_quantization_config(is_per_channel=True))
    prepared = prepare_pt2e(torch.export.export(network, inputs).module(), quantizer)
    prepared(*inputs)
    program = torch.export.export(convert_pt2e(prepared), inputs)
    return _lower(program, folder / "peak-int8-convolution.pte")


def _convolutions(sizes: KernelSizes) -> "tuple[nn.Module, tuple[Tensor, ...]]":
    import torch
    from torch import nn

    torch.manual_seed(0)
    layers = [nn.Conv2d(sizes.channels, sizes.channels, _KERNEL, padding=1) for _ in range(_LAYERS)]
    return nn.Sequential(*layers).eval(), (torch.randn(1, sizes.channels, sizes.side, sizes.side),)


def _lower(program: "ExportedProgram", path: Path) -> Path:
    from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
    from executorch.exir import to_edge_transform_and_lower

    lowered = to_edge_transform_and_lower(program, partitioner=[XnnpackPartitioner()])
    path.write_bytes(lowered.to_executorch().buffer)
    return path

"""Quantized graphs to rewrite, and ONNX Runtime to compare them with.

The comparison runs operator by operator, without ONNX Runtime's own optimizations: what a pass
changes is then seen alone.
"""

import functools
from collections import Counter

import numpy as np
import onnx
import onnx_ir as ir
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx_ir.serde import deserialize_model, serialize_model
from torch import Tensor, nn
from torch.nn import functional as F

from sqsam_deploy._internal.upstream.torch import lean_tracing
from sqsam_deploy.folding.layers import ChannelBias
from sqsam_deploy.model.description import describe, describe_saliency
from sqsam_deploy.model.saliency import SaliencyConfig
from sqsam_deploy.quantization.float_programs import trace_network
from sqsam_deploy.quantization.pt2e import quantize_program
from sqsam_deploy.runtimes.onnx.lowering import translate
from sqsam_deploy.runtimes.onnx.passes import in_sequence
from tests.tiny_network import TINY, tiny_calibration, tiny_quantized

Arrays = list[NDArray[np.generic]]


class _Block(nn.Module):
    """Convolution, ReLU, and what folding a norm leaves behind."""

    def __init__(self, in_channels: int, out_channels: int, size: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, out_channels, size, padding=size // 2)
        self.shift = ChannelBias(torch.randn(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        shifted: Tensor = self.shift(F.relu(self.conv(x)))
        return shifted


class Shuffled(nn.Module):
    """The parts of the released checkpoint's up-sampling."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Block(3, 12, 3)
        self.down = nn.Conv2d(12, 16, 3, padding=1)
        self.up = _Block(16, 4 * 8, 1)
        self.out = nn.Conv2d(12 + 8, 4, 3, padding=1)

    def forward(self, image: Tensor) -> Tensor:
        skip = self.stem(image)
        deep = F.relu(self.down(F.max_pool2d(skip, 2, 2)))
        up = F.pixel_shuffle(self.up(deep), 2)
        out: Tensor = self.out(torch.cat([skip, up], dim=1))
        return out


@functools.cache
@lean_tracing()
def _tiny_bytes() -> bytes:
    metadata = describe(TINY, runtime="onnx", precision="int8", weights_sha256="0" * 64)
    return serialize_model(translate(tiny_quantized().program, metadata)).SerializeToString()


@functools.cache
@lean_tracing()
def _shuffled_bytes() -> bytes:
    torch.manual_seed(0)
    network, config = Shuffled().eval(), SaliencyConfig(image_size=16)
    samples = [(torch.randint(0, 256, (1, 3, 16, 16)).float(),) for _ in range(3)]
    quantized = quantize_program(trace_network(network, samples[0]), samples)
    metadata = describe_saliency(config, runtime="onnx", precision="int8", weights_sha256="0" * 64)
    return serialize_model(translate(quantized.program, metadata)).SerializeToString()


def tiny_graph() -> ir.Model:
    """The tiny SqueezeSAM as it was translated, fresh."""
    return _parsed(_tiny_bytes())


def shuffled_graph() -> ir.Model:
    """`Shuffled` as it was translated, fresh."""
    return _parsed(_shuffled_bytes())


def rewritten(model: ir.Model, *passes: ir.passes.InPlacePass) -> ir.Model:
    """The graph behind some passes."""
    in_sequence(*passes)(model)
    return model


def operators(model: ir.Model) -> Counter[str]:
    """How many nodes of each operator there are."""
    return Counter(node.op_type for node in model.graph)


def tiny_feeds() -> dict[str, NDArray[np.generic]]:
    """A calibration sample as the tiny network's inputs."""
    names = ("image", "prompt_maps", "point_coords", "point_labels")
    sample = next(iter(tiny_calibration()))
    return {name: value.numpy() for name, value in zip(names, sample, strict=True)}


def shuffled_feeds() -> dict[str, NDArray[np.generic]]:
    """Noise as `Shuffled`'s input."""
    rng = np.random.default_rng(1)
    return {"image": rng.integers(0, 256, (1, 3, 16, 16)).astype(np.float32)}


def as_pixels(feeds: dict[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
    """The same inputs with image and maps in one uint8 tensor, channels last."""
    others = {k: v for k, v in feeds.items() if k not in ("image", "prompt_maps")}
    planes = np.concatenate([feeds[k] for k in ("image", "prompt_maps") if k in feeds], axis=1)
    return {"pixels": planes.transpose(0, 2, 3, 1).astype(np.uint8), **others}


def outputs(model: ir.Model, feeds: dict[str, NDArray[np.generic]]) -> Arrays:
    """The outputs of a graph in ONNX Runtime, operator by operator."""
    values: Arrays = _session(model, onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL).run(
        None, feeds
    )
    return values


def optimized(model: ir.Model, folder: str) -> Counter[str]:
    """Operators that ONNX Runtime executes, once it has optimized a graph."""
    path = f"{folder}/optimized.onnx"
    _session(model, onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL, path)
    return operators(ir.load(path))


def _session(
    model: ir.Model, level: onnxruntime.GraphOptimizationLevel, optimized_path: str = ""
) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = level
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    options.optimized_model_filepath = optimized_path
    content = serialize_model(model).SerializeToString()
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _parsed(content: bytes) -> ir.Model:
    return deserialize_model(onnx.load_model_from_string(content))


def same(before: Arrays, after: Arrays) -> bool:
    """Whether all outputs are equal, bit for bit."""
    return all(np.array_equal(a, b) for a, b in zip(before, after, strict=True))


def steps_apart(before: Arrays, after: Arrays) -> float:
    """Largest difference over the range of the outputs."""
    return max(float(np.abs(a - b).max() / np.ptp(a)) for a, b in zip(before, after, strict=True))

"""A network of every kind of layer that is exported in seconds, its programs and its artifacts."""

import dataclasses
import functools
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram
from torch.nn import functional as F

from sqsam_deploy._internal.upstream.torch import lean_tracing
from sqsam_deploy.artifact.metadata import (
    ArtifactMetadata,
    InputLayout,
    PrecisionName,
    TensorSpec,
    arrange_inputs,
)
from sqsam_deploy.datasets import bundled_dataset
from sqsam_deploy.folding import FoldedModel, fold
from sqsam_deploy.model.config import NANO, ModelConfig
from sqsam_deploy.model.description import default_inputs, describe
from sqsam_deploy.model.network import SqueezeSAM
from sqsam_deploy.quantization import (
    QuantizationScheme,
    QuantizedModel,
    build_calibration,
    export_fp16,
    export_fp32,
    quantize,
    trace_network,
)
from sqsam_deploy.quantization.calibration import CalibrationSet
from sqsam_deploy.runtimes.registry import find_runtime

TINY = dataclasses.replace(
    NANO, image_size=32, widths=(8, 16, 24, 32, 32), transformer_depth=1, num_heads=4
)
#: Two levels less, where the number of layers does not matter.
TINIER = dataclasses.replace(TINY, image_size=8, widths=(8, 16, 32))


@functools.cache
def tiny_model(config: ModelConfig = TINY) -> SqueezeSAM:
    """Random weights; norms with statistics of their own, so that folding them matters."""
    torch.manual_seed(0)
    model = SqueezeSAM(config).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.7, 1.3)
            nn.init.normal_(module.bias, std=0.2)
    return model


@functools.cache
def tiny_folded(config: ModelConfig = TINY) -> FoldedModel:
    return fold(tiny_model(config))


@functools.cache
def tiny_calibration(config: ModelConfig = TINY) -> CalibrationSet:
    return build_calibration(bundled_dataset("calibration"), config, size=3)


@functools.cache
@lean_tracing()
def tiny_quantized() -> QuantizedModel:
    return quantize(tiny_folded(), tiny_calibration())


#: Modules of `tiny_partly_float` that are not quantized.
KEPT_FLOAT = ("mask_head.iou_mlp*", "encoder.patch_embedding*")


@functools.cache
@lean_tracing()
def tiny_partly_float() -> QuantizedModel:
    scheme = QuantizationScheme("mse", keep_float=KEPT_FLOAT)
    return quantize(tiny_folded(), tiny_calibration(), scheme)


#: Artifacts of it by file name: runtime and precision.
TINY_ARTIFACTS: dict[str, tuple[str, PrecisionName]] = {
    "tiny-fp32.onnx": ("onnx", "fp32"),
    "tiny-int8.onnx": ("onnx", "int8"),
    "tiny-fp16.pte": ("executorch", "fp16"),
    "tiny-int8.pte": ("executorch", "int8"),
    "tiny-int8.mlpackage": ("coreml", "int8"),
    "tiny-fp16-coreml.pte": ("executorch-coreml", "fp16"),
}


@functools.cache
@lean_tracing()
def tiny_program(precision: PrecisionName) -> ExportedProgram:
    if precision == "int8":
        return tiny_quantized().program
    return (export_fp16 if precision == "fp16" else export_fp32)(tiny_folded())


def tiny_metadata(name: str) -> ArtifactMetadata:
    """Metadata of an artifact: float planes in, or an image for Core ML."""
    runtime, precision = TINY_ARTIFACTS[name]
    layout: InputLayout = "image" if runtime == "coreml" else "nchw-float32"
    return describe(
        TINY,
        runtime=runtime,
        precision=precision,
        weights_sha256="1" * 64,
        inputs=arrange_inputs(default_inputs(TINY), layout),
        deployment_target=find_runtime(runtime).deployment_target(precision, None),
    )


@lean_tracing()
def lower_tiny(name: str, folder: Path) -> Path:
    runtime, precision = TINY_ARTIFACTS[name]
    find_runtime(runtime).lower(tiny_program(precision), tiny_metadata(name), folder / name)
    return folder / name


class Fragment(nn.Module):
    """What moves data about, in few operators: a join, an upsampling, and an attention."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.first = nn.Conv2d(4, 8, 3, padding=1)
        self.inner = nn.Conv2d(8, 8, 3, padding=1)
        self.up = nn.ConvTranspose2d(8, 8, 2, stride=2)
        self.last = nn.Conv2d(16, 32, 3, padding=1)
        self.tokens = nn.Linear(32, 32)

    def forward(self, pixels: Tensor) -> Tensor:
        """From 1x4xSxS to 1x32xSxS."""
        skip = F.relu(self.first(pixels))
        inner = F.relu(self.inner(F.max_pool2d(skip, kernel_size=2, stride=2)))
        joined = F.relu(self.last(torch.cat([skip, F.relu(self.up(inner))], dim=1)))
        tokens = self.tokens(joined.flatten(2).transpose(1, 2))
        heads = tokens.unflatten(2, (4, 8)).transpose(1, 2)
        attended = torch.softmax(heads @ heads.transpose(2, 3), dim=-1) @ heads
        return joined + attended.transpose(1, 2).flatten(2).transpose(1, 2).reshape(joined.shape)


class HalfFragment(Fragment):
    """The same in half precision, between float32 inputs and outputs."""

    def __init__(self) -> None:
        super().__init__()
        self.half()

    def forward(self, pixels: Tensor) -> Tensor:
        return super().forward(pixels.half()).float()


FRAGMENT_SAMPLE = (torch.rand(1, 4, 8, 8, generator=torch.Generator().manual_seed(0)),)


def fragment_program(network: type[Fragment] = Fragment) -> ExportedProgram:
    return trace_network(network().eval(), FRAGMENT_SAMPLE)


def fragment_metadata(runtime: str, precision: PrecisionName) -> ArtifactMetadata:
    shapes = {"pixels": (1, 4, 8, 8), "low_res_masks": (1, 32, 8, 8)}
    pixels, masks = (
        TensorSpec(name=name, dtype="float32", shape=shape, layout="NCHW")
        for name, shape in shapes.items()
    )
    described = describe(TINIER, runtime=runtime, precision=precision, weights_sha256="1" * 64)
    return described.model_copy(update={"inputs": (pixels,), "outputs": (masks,)})


def snr_db(expected: Tensor, actual: Tensor) -> float:
    """Power of `expected` over the power of the difference, in decibel."""
    noise = (expected - actual).double().square().sum()
    return float(10 * torch.log10(expected.double().square().sum() / noise))

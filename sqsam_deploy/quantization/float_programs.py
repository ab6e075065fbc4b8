"""The programs that are not quantized: float32, and half precision inside."""

import copy

import torch
from torch import Tensor, nn
from torch.export import ExportedProgram

from sqsam_deploy.folding import FoldedModel, example_inputs
from sqsam_deploy.folding.network import FoldedPointNetwork
from sqsam_deploy.quantization.rewrites import rewrite


def trace(folded: FoldedModel) -> ExportedProgram:
    """The folded network as a graph of operators that the runtimes' delegates take."""
    return trace_network(folded.network, example_inputs(folded.config))


def trace_network(network: nn.Module, example: tuple[Tensor, ...]) -> ExportedProgram:
    """Any network without norms as such a graph; `example` are its inputs, batch 1."""
    module = torch.export.export(network, example).module()
    return torch.export.export(rewrite(module), example)


def export_fp32(folded: FoldedModel) -> ExportedProgram:
    """The float32 program: float32 inputs, arithmetic and outputs."""
    return trace(folded)


def export_fp16(folded: FoldedModel) -> ExportedProgram:
    """The half-precision program: float32 inputs and outputs, float16 weights and arithmetic."""
    return trace_network(half_precision_network(folded), example_inputs(folded.config))


def half_precision_network(folded: FoldedModel) -> nn.Module:
    """A copy of the folded network that computes in float16, for float32 inputs and outputs.

    Pixels (whole numbers to 255) are exact in float16. The points keep float32 up to their
    tokens: float16 has only every half pixel at 1000, and sine and cosine multiply the error.
    """
    network = copy.deepcopy(folded.network).half()
    if isinstance(network, FoldedPointNetwork):
        network.set_submodule("point_encoder", _FloatPoints(network.point_encoder))
    return _HalfPrecision(network)


class _HalfPrecision(nn.Module):
    """Half-precision weights and arithmetic between float32 inputs and outputs."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor, prompt_maps: Tensor, *points: Tensor) -> tuple[Tensor, Tensor]:
        masks, iou = self.network(image.half(), prompt_maps.half(), *points)
        return masks.float(), iou.float()


class _FloatPoints(nn.Module):
    """A point encoder that computes in float32 and gives half-precision tokens."""

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder.float()

    def forward(self, point_coords: Tensor, point_labels: Tensor) -> Tensor:
        tokens: Tensor = self.encoder(point_coords, point_labels)
        return tokens.half()

"""The saliency network as programs for the runtimes: folded, float or int8."""

import copy
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.export import ExportedProgram

from sqsam_deploy.folding.conv_norm import fold_blocks, fold_conv_bn, fold_pixel_scaling
from sqsam_deploy.model.saliency import SaliencyNet
from sqsam_deploy.quantization import quantize_program, trace_network


class FoldedSaliency(nn.Module):
    """A saliency network without norms and pixel arithmetic. 1x3xSxS, 0 to 255 -> 1x1xsxs."""

    def __init__(self, model: SaliencyNet) -> None:
        super().__init__()
        self.encoder, self.decoder, self.head = model.encoder, model.decoder, model.head

    def forward(self, image: Tensor) -> Tensor:
        """Logits of the saliency map."""
        *skips, x = self.encoder(image)
        for level, skip in zip(self.decoder, reversed(skips), strict=True):
            x = level(x, skip)
        logits: Tensor = self.head(x)
        return logits


def fold_saliency(model: SaliencyNet) -> FoldedSaliency:
    """The same function up to float32 rounding, all norms inside convolutions.

    `model` is not modified.
    """
    work = copy.deepcopy(model).eval().requires_grad_(False)
    conv, norm = work.encoder.patch_embedding
    assert isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d)
    scaled = fold_pixel_scaling(conv, work.pixel_mean, work.pixel_std)
    work.encoder.set_submodule("patch_embedding", fold_conv_bn(scaled, norm))
    fold_blocks(work)
    return FoldedSaliency(work).eval().requires_grad_(False)


def saliency_sample(square: NDArray[np.uint8]) -> tuple[Tensor]:
    """A photo of the network's size as its input: SxSx3 -> 1x3xSxS float32."""
    return (torch.tensor(square).permute(2, 0, 1)[None].float(),)


def saliency_fp32(network: FoldedSaliency, size: int) -> ExportedProgram:
    """The float32 program for photos of `size` pixels."""
    return trace_network(network, (torch.full((1, 3, size, size), 127.0),))


def saliency_fp16(network: FoldedSaliency, size: int) -> ExportedProgram:
    """Half precision between a float32 input and a float32 output."""
    return trace_network(
        _HalfPrecision(copy.deepcopy(network).half()), (torch.full((1, 3, size, size), 127.0),)
    )


def saliency_int8(
    network: FoldedSaliency, size: int, squares: Sequence[NDArray[np.uint8]]
) -> ExportedProgram:
    """The int8 program, ranges measured on photos (SxSx3 uint8) of the network's size."""
    samples = [saliency_sample(square) for square in squares]
    return quantize_program(saliency_fp32(network, size), samples).program


class _HalfPrecision(nn.Module):
    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        logits: Tensor = self.network(image.half())
        return logits.float()

"""A network of every kind of layer that is exported in seconds, and its quantized program."""

import dataclasses
import functools

import torch
from torch import Tensor, nn

from sqsam_deploy.datasets import bundled_dataset
from sqsam_deploy.folding import FoldedModel, fold
from sqsam_deploy.model.config import NANO
from sqsam_deploy.model.network import SqueezeSAM
from sqsam_deploy.quantization import QuantizedModel, build_calibration, quantize
from sqsam_deploy.quantization.calibration import CalibrationSet

TINY = dataclasses.replace(
    NANO, image_size=32, widths=(8, 16, 24, 32, 32), transformer_depth=1, num_heads=4
)


@functools.cache
def tiny_model() -> SqueezeSAM:
    """Random weights; norms with statistics of their own, so that folding them matters."""
    torch.manual_seed(0)
    model = SqueezeSAM(TINY).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
            nn.init.uniform_(module.weight, 0.7, 1.3)
            nn.init.normal_(module.bias, std=0.2)
    return model


@functools.cache
def tiny_folded() -> FoldedModel:
    return fold(tiny_model())


@functools.cache
def tiny_calibration() -> CalibrationSet:
    return build_calibration(bundled_dataset("calibration"), TINY, size=3)


@functools.cache
def tiny_quantized() -> QuantizedModel:
    return quantize(tiny_folded(), tiny_calibration())


def snr_db(expected: Tensor, actual: Tensor) -> float:
    """Power of `expected` over the power of the difference, in decibel."""
    noise = (expected - actual).double().square().sum()
    return float(10 * torch.log10(expected.double().square().sum() / noise))

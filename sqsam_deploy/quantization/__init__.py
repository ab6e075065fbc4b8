"""Quantization after training: static int8 for all runtimes, and palettized weights."""

from sqsam_deploy.quantization.calibration import CalibrationSet, Samples, build_calibration
from sqsam_deploy.quantization.float_programs import export_fp16, export_fp32, trace_network
from sqsam_deploy.quantization.layers import FloatLayer, LayerReport
from sqsam_deploy.quantization.palettes import PaletteScheme, palettize
from sqsam_deploy.quantization.pt2e import QuantizedModel, quantize, quantize_program
from sqsam_deploy.quantization.scheme import DEFAULT_SCHEME, QuantizationScheme

__all__ = [
    "DEFAULT_SCHEME",
    "CalibrationSet",
    "FloatLayer",
    "LayerReport",
    "PaletteScheme",
    "QuantizationScheme",
    "QuantizedModel",
    "Samples",
    "build_calibration",
    "export_fp16",
    "export_fp32",
    "palettize",
    "quantize",
    "quantize_program",
    "trace_network",
]

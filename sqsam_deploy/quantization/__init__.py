"""Quantization: static int8 after training, one program for all runtimes."""

from sqsam_deploy.quantization.calibration import CalibrationSet, Samples, build_calibration
from sqsam_deploy.quantization.float_programs import export_fp16, export_fp32, trace_network
from sqsam_deploy.quantization.layers import FloatLayer, LayerReport
from sqsam_deploy.quantization.pt2e import QuantizedModel, quantize, quantize_program
from sqsam_deploy.quantization.scheme import DEFAULT_SCHEME, QuantizationScheme

__all__ = [
    "DEFAULT_SCHEME",
    "CalibrationSet",
    "FloatLayer",
    "LayerReport",
    "QuantizationScheme",
    "QuantizedModel",
    "Samples",
    "build_calibration",
    "export_fp16",
    "export_fp32",
    "quantize",
    "quantize_program",
    "trace_network",
]

"""Static int8 after training: torchao's PT2E flow with the operators of `Int8Quantizer`."""

import copy
import dataclasses
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch.export import ExportedProgram
from torch.fx import GraphModule
from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e

from sqsam_deploy._internal.upstream.executorch import load_compiler
from sqsam_deploy.folding import FoldedModel
from sqsam_deploy.quantization.bias_correction import correct_biases
from sqsam_deploy.quantization.calibration import Samples, spread
from sqsam_deploy.quantization.equalization import equalize
from sqsam_deploy.quantization.float_programs import trace
from sqsam_deploy.quantization.layers import FloatLayer, LayerReport, float_layers, layer_reports
from sqsam_deploy.quantization.scheme import DEFAULT_SCHEME, QuantizationScheme

#: Samples that refinements of weights and biases are measured on; each costs two float passes.
REFINEMENT_SAMPLES = 16


@dataclass(frozen=True)
class QuantizedModel:
    """One int8 program for all runtimes, and what quantization did to each layer.

    Attributes:
        program: ATen graph with quantize and dequantize operators (`quantized_decomposed`); the
            same inputs and outputs as the float program.
        layers: Every int8 layer, lowest signal-to-noise ratio first.
        kept_float: What stayed in float, and why.
        scheme: How it was quantized.
        source: The float program that it was made from.
    """

    program: ExportedProgram
    layers: tuple[LayerReport, ...]
    kept_float: tuple[FloatLayer, ...]
    scheme: QuantizationScheme
    source: ExportedProgram

    def to_json(self, notes: Mapping[str, object] | None = None) -> str:
        """The report, without the programs; a lossless layer's `snr_db` is null.

        Args:
            notes: What else was found out, by key.
        """
        return json.dumps(
            {
                "scheme": dataclasses.asdict(self.scheme),
                "layers": [_finite(dataclasses.asdict(layer)) for layer in self.layers],
                "kept_float": [dataclasses.asdict(layer) for layer in self.kept_float],
                **(notes or {}),
            },
            indent=2,
        )


def quantize(
    folded: FoldedModel,
    calibration: Samples,
    scheme: QuantizationScheme = DEFAULT_SCHEME,
) -> QuantizedModel:
    """Quantizes weights and activations to int8, with ranges measured on the calibration set.

    Args:
        folded: The network without norms in its convolutional path.
        calibration: Inputs to measure ranges on, made for the same preset.
        scheme: How ranges are chosen and what stays in float.
    """
    return quantize_program(trace(folded), calibration, scheme)


def quantize_program(
    program: ExportedProgram, samples: Samples, scheme: QuantizationScheme = DEFAULT_SCHEME
) -> QuantizedModel:
    """Quantizes a float program.

    Args:
        program: From `trace` or `trace_network`.
        samples: Its positional inputs, to measure ranges on.
        scheme: How ranges are chosen and what stays in float.
    """
    # It is ExecuTorch's quantizer, which only int8 needs.
    load_compiler()
    from sqsam_deploy.quantization.quantizer import Int8Quantizer

    network = program.module()
    assert isinstance(network, GraphModule)
    example, _ = program.example_inputs
    if "equalization" in scheme.refinements:
        equalize(network, spread(samples, REFINEMENT_SAMPLES))
        program = torch.export.export(network, example)
    observed: GraphModule = prepare_pt2e(copy.deepcopy(network), Int8Quantizer(scheme))
    _calibrate(observed, samples)
    quantized: GraphModule = convert_pt2e(observed, fold_quantize=True)
    if "bias correction" in scheme.refinements:
        correct_biases(quantized, network, spread(samples, REFINEMENT_SAMPLES))
    final = torch.export.export(quantized, example)
    return QuantizedModel(
        program=final,
        layers=layer_reports(network, final, samples),
        kept_float=float_layers(final),
        scheme=scheme,
        source=program,
    )


@torch.inference_mode()
def _calibrate(observed: GraphModule, samples: Samples) -> None:
    for sample in samples:
        observed(*sample)


def _finite(values: dict[str, object]) -> dict[str, object]:
    """Infinity, which JSON does not have, as None."""
    return {key: None if value == math.inf else value for key, value in values.items()}

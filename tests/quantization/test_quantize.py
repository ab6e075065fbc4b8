import json
import math

import pytest
import torch

from sqsam_deploy.quantization import export_fp16, export_fp32
from tests.tiny_network import (
    snr_db,
    tiny_calibration,
    tiny_folded,
    tiny_model,
    tiny_partly_float,
    tiny_quantized,
)

pytestmark = pytest.mark.usefixtures("traced_leanly")


def test_pixels_keep_every_one_of_their_256_values() -> None:
    (pixels,) = (layer for layer in tiny_quantized().layers if layer.scale == 1.0)
    assert pixels.zero_point == -128
    assert math.isinf(pixels.snr_db)


def test_every_convolution_and_linear_layer_of_the_network_is_int8() -> None:
    network = tiny_folded().network
    kinds = (torch.nn.Conv2d, torch.nn.ConvTranspose2d, torch.nn.Linear)
    weighted = {name for name, module in network.named_modules() if isinstance(module, kinds)}
    reported = {layer.name for layer in tiny_quantized().layers if layer.op != "cat"}
    assert reported == weighted


def test_weights_are_within_half_a_step_of_the_float_weights() -> None:
    quantized = tiny_quantized().program
    restored = [
        (node, node.args)
        for node in quantized.graph.nodes
        if "dequantize_per_channel" in str(node.target)
    ]
    tensors = {**quantized.state_dict, **quantized.constants}
    names = quantized.graph_signature.inputs_to_buffers
    floats = [p for p in tiny_folded().network.parameters() if p.dim() in (2, 4)]
    for _, args in restored:
        values, scales = (tensors[names[argument.name]] for argument in args[:2])
        shape = [1] * values.dim()
        shape[args[3]] = -1
        weight = values * scales.reshape(shape)
        nearest = min(
            float(((weight - p).abs() / scales.reshape(shape)).max())
            for p in floats
            if p.shape == weight.shape
        )
        assert nearest <= 0.5 + 1e-3


def test_small_weights_keep_their_eight_bits() -> None:
    # 1/255 of the pixels is folded into the first layer; executorch's default smallest scale of
    # 2**-12 would leave it a fraction of the 127 steps.
    program = tiny_quantized().program
    first = next(n for n in program.graph.nodes if "dequantize_per_channel" in str(n.target))
    values = program.constants | program.state_dict
    name = program.graph_signature.inputs_to_buffers[first.args[0].name]
    assert (values[name].flatten(1).abs().amax(1) == 127).all()


def test_the_report_is_sorted_and_its_ranges_hold_the_observed_values() -> None:
    layers = tiny_quantized().layers
    ratios = [layer.snr_db for layer in layers]
    assert ratios == sorted(ratios)
    for layer in layers:
        lowest = (-128 - layer.zero_point) * layer.scale
        highest = (127 - layer.zero_point) * layer.scale
        # Min-max ranges of all samples hold those of the reported ones, up to rounding.
        assert lowest - layer.scale <= layer.minimum <= layer.maximum <= highest + layer.scale


def test_the_report_is_valid_json() -> None:
    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is not JSON")

    report = json.loads(tiny_quantized().to_json(), parse_constant=refuse)
    assert [entry["name"] for entry in report["layers"]] == [
        x.name for x in tiny_quantized().layers
    ]
    assert report["layers"][-1]["snr_db"] is None


@pytest.mark.parametrize("export", [export_fp32, export_fp16, lambda _: tiny_quantized().program])
def test_programs_agree_with_the_original_network(export) -> None:
    limit = {export_fp32: 100.0, export_fp16: 50.0}.get(export, 35.0)
    sample = next(iter(tiny_calibration()))
    with torch.inference_mode():
        expected = tiny_model()(*sample)
        actual = export(tiny_folded()).module()(*sample)
    for a, b in zip(expected, actual, strict=True):
        assert b.dtype == torch.float32
        assert snr_db(a, b) > limit


def test_what_a_scheme_keeps_in_float_has_float_weights() -> None:
    result = tiny_partly_float()
    kept = {layer.name for layer in result.kept_float if layer.op == "linear"}
    names = {n for n, m in tiny_folded().network.named_modules() if isinstance(m, torch.nn.Linear)}
    assert kept == {name for name in names if name.startswith("mask_head.iou_mlp")}
    floats = {n for n, w in result.program.state_dict.items() if w.is_floating_point()}
    assert {f"{name}.weight" for name in kept} <= floats


def test_there_is_one_scale_for_each_output_channel() -> None:
    """A transposed convolution has its output channels on axis 1, the others on axis 0."""
    axes = {
        (str(next(iter(node.users)).target).split(".")[1], node.args[3])
        for node in tiny_quantized().program.graph.nodes
        if "dequantize_per_channel" in str(node.target)
    }
    assert axes == {("conv2d", 0), ("conv_transpose2d", 1), ("linear", 0)}

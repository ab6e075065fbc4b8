"""The plot has every layer, at a height that says what it should."""

import math

import pytest

from sqsam_deploy.quantization.graph import module_name
from sqsam_deploy.quantization.layers import LayerReport
from sqsam_deploy.report.export_layers import (
    QuantizedLayers,
    held_range,
    layer_plot,
    quantized_layers,
    squeezed,
)
from tests.tiny_network import tiny_quantized


def _layer(name: str, snr: float, low: float, high: float) -> LayerReport:
    return LayerReport(name, "conv2d", snr, low, high, (high - low) / 255, -128)


@pytest.fixture(scope="module")
def layers() -> QuantizedLayers:
    return quantized_layers(tiny_quantized())


def test_layers_stand_in_the_order_in_which_they_run(layers):
    assert sorted(map(id, layers.layers)) == sorted(map(id, tiny_quantized().layers))
    order = [module_name(node) for node in tiny_quantized().program.graph.nodes]
    positions = [order.index(layer.name) for layer in layers.layers if layer.name]
    assert positions == sorted(positions)
    assert layers.layers[-1].name.startswith("mask_head")


def test_the_numbered_layers_are_the_worst(layers):
    plot = layer_plot(layers)
    ranks = {m.rank: layer for m, layer in zip(plot.marks, layers.layers, strict=True) if m.rank}
    ratios = sorted(layer.snr_db for layer in tiny_quantized().layers)
    assert [ranks[i + 1].snr_db for i in range(len(ranks))] == ratios[: len(ranks)]


def test_heights_are_proportional_to_decibel():
    drawn = [_layer("a", 20, 0, 1), _layer("b", 25, 0, 1), _layer("c", 40, 0, 1)]
    drawn.append(_layer("d", math.inf, 0, 1))
    plot = layer_plot(QuantizedLayers("", tuple(drawn), (), ()))
    a, b, c, d = plot.marks
    assert (a.snr_y, c.snr_y) == (plot.ratio_bottom, plot.ratio_top)
    assert (a.snr_y - b.snr_y) / (a.snr_y - c.snr_y) == pytest.approx(5 / 20)
    assert d.lossless and d.snr_y == plot.ratio_top
    assert not c.lossless


def test_ranges_stay_inside_their_panel(layers):
    plot = layer_plot(layers)
    for mark in plot.marks:
        for top, bottom in (mark.seen, mark.held):
            assert plot.range_top <= top <= bottom <= plot.range_bottom
        assert plot.left < mark.x < plot.right


def test_what_int8_holds_is_from_its_scale_and_zero_point():
    low, high = held_range(LayerReport("a", "linear", 30.0, -1, 1, 0.5, 28))
    assert (low, high) == (-78.0, 49.5)


def test_the_scale_of_activations_has_a_sign():
    assert squeezed(0) == 0
    assert squeezed(-9) == -squeezed(9) == pytest.approx(-1)


def test_stages_cover_all_layers(layers):
    plot = layer_plot(layers)
    assert sum(s.width for s in plot.stages) == pytest.approx(plot.right - plot.left, abs=0.1)
    assert [s.name for s in plot.stages if s.fits != "nowhere"] == [
        "encoder",
        "transformer",
        "decoder",
        "mask_head",
    ]

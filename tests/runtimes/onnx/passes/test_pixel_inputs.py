import onnx_ir as ir

from sqsam_deploy.runtimes.onnx.passes import INT8_PASSES, INT8_PIXEL_PASSES
from sqsam_deploy.runtimes.onnx.passes.patch_rows import EmbedRows
from sqsam_deploy.runtimes.onnx.passes.pixel_inputs import TakePixelsAsBytes
from sqsam_deploy.runtimes.onnx.passes.quantized_moves import KeepMovesQuantized
from sqsam_deploy.runtimes.onnx.passes.unsigned_activations import CountActivationsFromZero
from tests.runtimes.onnx.passes.graphs import (
    as_pixels,
    operators,
    outputs,
    rewritten,
    same,
    shuffled_feeds,
    shuffled_graph,
    tiny_feeds,
    tiny_graph,
)

_READY = (KeepMovesQuantized(), CountActivationsFromZero())


def test_image_and_maps_become_one_byte_input() -> None:
    model = rewritten(tiny_graph(), *_READY, TakePixelsAsBytes())
    first, *others = model.graph.inputs
    assert (first.name, first.dtype, list(first.shape)) == (
        "pixels",
        ir.DataType.UINT8,
        [1, 32, 32, 5],
    )
    assert [value.name for value in others] == ["point_coords", "point_labels"]
    expected = outputs(tiny_graph(), tiny_feeds())
    assert same(expected, outputs(model, as_pixels(tiny_feeds())))


def test_an_image_alone_does_too() -> None:
    model = rewritten(shuffled_graph(), *_READY, TakePixelsAsBytes())
    assert [value.name for value in model.graph.inputs] == ["pixels"]
    expected = outputs(shuffled_graph(), shuffled_feeds())
    assert same(expected, outputs(model, as_pixels(shuffled_feeds())))


def test_inputs_that_are_not_joined_as_integers_stay() -> None:
    model = rewritten(tiny_graph(), CountActivationsFromZero())
    assert not TakePixelsAsBytes()(model).modified
    assert model.graph.inputs[0].name == "image"


def test_patches_are_embedded_row_by_row_and_two_at_a_time() -> None:
    model = rewritten(tiny_graph(), *_READY, TakePixelsAsBytes(), EmbedRows())
    convolution = next(node for node in model.graph if node.op_type == "Conv")
    # 2x2 patches of 5 channels: a row has 10 values, two rows side by side 20, which 4 divides.
    assert list(convolution.attributes["kernel_shape"].as_ints()) == [2, 1]
    assert list(convolution.inputs[0].shape) == [1, 20, 32, 8]
    assert list(convolution.outputs[0].shape) == [1, 16, 16, 8]
    expected = outputs(tiny_graph(), tiny_feeds())
    assert same(expected, outputs(model, as_pixels(tiny_feeds())))


def test_all_passes_together_agree_over_the_input_forms() -> None:
    planes = rewritten(tiny_graph(), *INT8_PASSES)
    pixels = rewritten(tiny_graph(), *INT8_PIXEL_PASSES)
    assert operators(planes)["QuantizeLinear"] == operators(pixels)["QuantizeLinear"] + 2
    assert same(outputs(planes, tiny_feeds()), outputs(pixels, as_pixels(tiny_feeds())))

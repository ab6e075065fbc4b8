import onnx_ir as ir

from sqsam_deploy.runtimes.onnx.passes.graph import quantization_of
from sqsam_deploy.runtimes.onnx.passes.quantized_moves import KeepMovesQuantized
from sqsam_deploy.runtimes.onnx.passes.unsigned_activations import CountActivationsFromZero
from tests.runtimes.onnx.passes.graphs import outputs, rewritten, same, tiny_feeds, tiny_graph


def test_activations_are_unsigned_with_the_same_steps() -> None:
    before, after = tiny_graph(), rewritten(tiny_graph(), CountActivationsFromZero())
    pairs = zip(_quantizations(before), _quantizations(after), strict=True)
    for (scale, zero_point), shifted in pairs:
        assert shifted == (scale, zero_point + 128)
    assert same(outputs(before, tiny_feeds()), outputs(after, tiny_feeds()))


def test_moves_between_quantizations_follow_and_weights_stay_signed() -> None:
    model = rewritten(tiny_graph(), KeepMovesQuantized(), CountActivationsFromZero())
    types = {n.outputs[0].dtype for n in model.graph if n.op_type == "MaxPool"}
    assert types == {ir.DataType.UINT8}
    weights = {v.dtype for v in model.graph.initializers.values() if len(v.shape) == 4}
    assert weights == {ir.DataType.INT8}
    assert same(outputs(tiny_graph(), tiny_feeds()), outputs(model, tiny_feeds()))


def test_a_second_time_changes_nothing() -> None:
    model = rewritten(tiny_graph(), CountActivationsFromZero())
    assert not CountActivationsFromZero()(model).modified


def _quantizations(model: ir.Model) -> list[tuple[float, int]]:
    found = [quantization_of(n) for n in model.graph if n.op_type == "QuantizeLinear"]
    return [(q.scale, q.zero_point) for q in found if q is not None]

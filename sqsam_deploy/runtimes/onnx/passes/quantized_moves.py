"""Pooling, joining and reshaping on the quantized values themselves.

The program dequantizes before each of them and quantizes with the same scale behind it. They only
pick or move values, and quantization is monotone, so they commute with it. ONNX Runtime matches
some of these groups itself, but not where one quantized map has several readers.
"""

import onnx_ir as ir

from sqsam_deploy.runtimes.onnx.passes.graph import producer_of, quantization_of

#: Operators whose every result is one of their inputs, and how many of their inputs are data.
_MOVES = {"Concat": None, "MaxPool": 1, "Reshape": 1, "Slice": 1, "Transpose": 1}


class KeepMovesQuantized(ir.passes.InPlacePass):
    """Takes DequantizeLinear and QuantizeLinear away around each move. Exact."""

    def call(self, model: ir.Model) -> ir.passes.PassResult:
        """Applies the pass in place."""
        moves = [node for node in model.graph if node.op_type in _MOVES]
        count = sum(_requantize(model.graph, node) for node in moves)
        return ir.passes.PassResult(model, modified=count > 0)


def _requantize(graph: ir.Graph, move: ir.Node) -> bool:
    (moved,) = move.outputs
    maps = move.inputs[: _MOVES[move.op_type]]
    found = [producer_of(value, "DequantizeLinear") for value in maps]
    sources = [node for node in found if node is not None]
    quantizers = moved.consumers()
    if moved.is_graph_output() or any(q.op_type != "QuantizeLinear" for q in quantizers):
        return False
    parameters = {quantization_of(node) for node in (*sources, *quantizers)}
    if len(sources) < len(maps) or not quantizers or len(parameters) != 1 or None in parameters:
        return False
    for index, source in enumerate(sources):
        move.replace_input_with(index, source.inputs[0])
    moved.type = quantizers[0].outputs[0].type
    for quantizer in quantizers:
        quantizer.outputs[0].replace_all_uses_with(moved)
        graph.remove(quantizer, safe=True)
    return True

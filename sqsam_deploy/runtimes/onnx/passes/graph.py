"""Helpers of the passes that read and extend an `onnx_ir` graph."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx_ir as ir
from numpy.typing import NDArray


@dataclass(frozen=True)
class Quantization:
    """Scale, zero point and element type of one tensor quantized as a whole."""

    scale: float
    zero_point: int
    dtype: ir.DataType


def array_of(value: ir.Value | None) -> NDArray[Any] | None:
    """A constant's values; None where the value depends on an input."""
    if value is None or value.const_value is None:
        return None
    array: NDArray[Any] = value.const_value.numpy()
    return array


def quantization_of(node: ir.Node) -> Quantization | None:
    """Parameters of a (de)quantization with one scale; None where each channel has its own."""
    scale, zero_point = array_of(node.inputs[1]), array_of(node.inputs[2])
    if scale is None or zero_point is None or scale.size != 1:
        return None
    dtype = ir.DataType.from_numpy(zero_point.dtype)
    return Quantization(float(scale.item()), int(zero_point.item()), dtype)


def producer_of(value: ir.Value | None, *op_types: str) -> ir.Node | None:
    """The node that makes a value, where it is one of these operators."""
    node = None if value is None else value.producer()
    return node if node is not None and node.op_type in op_types else None


def first_input(node: ir.Node) -> ir.Value:
    """The first input of an operator, which must have one."""
    value = node.inputs[0]
    assert value is not None
    return value


def only_reader(value: ir.Value, *op_types: str) -> ir.Node | None:
    """The node that reads a value, where it is the only one and one of these operators."""
    readers = value.consumers()
    if len(readers) != 1 or value.is_graph_output() or readers[0].op_type not in op_types:
        return None
    reader: ir.Node = readers[0]
    return reader


def add_constant(graph: ir.Graph, name: str, array: NDArray[np.generic]) -> ir.Value:
    """An initializer called `name`; the one that is there where it was added before."""
    if name not in graph.initializers:
        value = ir.val(name, const_value=ir.tensor(array, name=name))
        graph.register_initializer(value)
    return graph.initializers[name]


def sizes_of(value: ir.Value) -> tuple[int, ...]:
    """The fixed shape of a value."""
    assert value.shape is not None
    return tuple(int(size) for size in value.shape.numpy())


class Emitter:
    """Adds nodes one after the other, all of them before a given node."""

    def __init__(self, graph: ir.Graph, before: ir.Node) -> None:
        self.graph = graph
        self._before = before

    def node(
        self,
        op_type: str,
        inputs: Sequence[ir.Value | None],
        output: ir.Value,
        **attributes: int | Sequence[int],
    ) -> ir.Value:
        """Adds one node and returns its `output`."""
        made = ir.node(op_type, inputs, attributes, outputs=[output])
        self.graph.insert_before(self._before, made)
        return output

    def transpose(self, x: ir.Value, *permutation: int, name: str) -> ir.Value:
        """`x` with its axes in another order."""
        shape = [sizes_of(x)[axis] for axis in permutation]
        output = ir.val(name, x.dtype, shape)
        return self.node("Transpose", [x], output, perm=permutation)

    def reshape(self, x: ir.Value, *shape: int, name: str) -> ir.Value:
        """`x` in another shape."""
        label = "shape_" + "x".join(map(str, shape))
        target = add_constant(self.graph, label, np.array(shape, np.int64))
        return self.node("Reshape", [x, target], ir.val(name, x.dtype, shape))

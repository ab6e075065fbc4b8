"""Access to XNNPACK's serialized graph: values, and nodes that name them by id."""

import copy
from collections.abc import Iterator
from dataclasses import fields
from typing import Any

from executorch.backends.xnnpack.serialization.xnnpack_graph_schema import (
    XNNDatatype,
    XNNGraph,
    XNNTensorValue,
    XValue,
)
from executorch.backends.xnnpack.utils.xnnpack_constants import (
    XNN_INVALID_VALUE_ID,
    XNN_VALUE_FLAG_EXTERNAL_OUTPUT,
)


class Values:
    """The values of a graph by id."""

    def __init__(self, graph: XNNGraph) -> None:
        self._graph = graph
        self._by_id = {tensor_of(value).id_out: value for value in graph.xvalues}

    def shape(self, identifier: int) -> list[int]:
        """Sizes as they lie in memory."""
        return list(tensor_of(self._by_id[identifier]).dims)

    def is_output(self, identifier: int) -> bool:
        """Whether the delegate returns it."""
        return bool(tensor_of(self._by_id[identifier]).flags & XNN_VALUE_FLAG_EXTERNAL_OUTPUT)

    def same_numbers(self, first: int, second: int) -> bool:
        """Whether two values have the same type and, where they are quantized, the same scale."""
        values = self._by_id[first].xvalue_union, self._by_id[second].xvalue_union
        scales = [getattr(value, "quant_params", None) for value in values]
        types = [tensor_of(self._by_id[each]).datatype for each in (first, second)]
        return bool(scales[0] == scales[1] and types[0] == types[1])

    def holds(self, wide: int, narrow: int) -> bool:
        """Whether a value of the one type and back is exact: float32 around an int8 one."""
        types = [tensor_of(self._by_id[each]).datatype for each in (wide, narrow)]
        return types == [XNNDatatype.xnn_datatype_fp32, XNNDatatype.xnn_datatype_qint8]

    def add_like(self, identifier: int, shape: list[int]) -> int:
        """A new inner value of another shape; its id."""
        value = copy.deepcopy(self._by_id[identifier])
        tensor = tensor_of(value)
        identifier = max(self._by_id) + 1
        tensor.id_out = identifier
        tensor.dims, tensor.num_dims = list(shape), len(shape)
        tensor.flags, tensor.constant_buffer_idx = 0, 0
        tensor.external_id = XNN_INVALID_VALUE_ID
        self._graph.xvalues.append(value)
        self._by_id[identifier] = value
        return identifier


def tensor_of(value: XValue) -> XNNTensorValue:
    """The tensor of a value, quantized or not."""
    return getattr(value.xvalue_union, "tensor_value", value.xvalue_union)


def input_ids(operator: Any) -> list[int]:
    """Ids that a node reads."""
    return [getattr(operator, name) for name in _inputs(operator)]


def replace_input(operator: Any, before: int, after: int) -> None:
    """Makes a node read another value."""
    for name in _inputs(operator):
        if getattr(operator, name) == before:
            setattr(operator, name, after)


def output_ids(operator: Any) -> list[int]:
    """Ids that a node writes."""
    return [
        getattr(operator, field.name)
        for field in fields(operator)
        if field.name.startswith("output") and field.name.endswith("_id")
    ]


def _inputs(operator: Any) -> Iterator[str]:
    for field in fields(operator):
        if field.name.endswith("_id") and not field.name.startswith("output"):
            yield field.name

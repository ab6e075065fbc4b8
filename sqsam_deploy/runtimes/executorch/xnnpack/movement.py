"""Moves that follow each other become one, or none.

ExecuTorch turns every convolution's input channels last and its output back where a neighbor
asks for torch's order, and each of these is a pass over the map. A series of reshapes and
transpositions is one permutation of the elements; most come out as nothing but a change of shape.
A series may pass through float, where rounding back gives the same numbers.
"""

from typing import Any

from executorch.backends.xnnpack.serialization.xnnpack_graph_schema import (
    XNNConvert,
    XNNGraph,
    XNNStaticReshape,
    XNNStaticTranspose,
    XNode,
)

from sqsam_deploy.runtimes.executorch.xnnpack.arrangement import Arrangement
from sqsam_deploy.runtimes.executorch.xnnpack.values import (
    Values,
    input_ids,
    output_ids,
    replace_input,
    tensor_of,
)

_MOVES = (XNNStaticReshape, XNNStaticTranspose)


def join_moves(graph: XNNGraph) -> int:
    """Replaces each series of moves by the least that does the same, in place.

    Returns:
        Series replaced.
    """
    return _Joiner(graph).join()


class _Joiner:
    def __init__(self, graph: XNNGraph) -> None:
        self._graph = graph
        self._values = Values(graph)
        self._writer: dict[int, XNode] = {
            each: node for node in graph.xnodes for each in output_ids(node.xnode_union)
        }

    def join(self) -> int:
        joined = sum(self._join_into(node) for node in list(self._graph.xnodes))
        self._drop_unused()
        return joined

    def _readers(self, identifier: int) -> list[Any]:
        return [
            node.xnode_union
            for node in self._graph.xnodes
            if identifier in input_ids(node.xnode_union)
        ]

    def _join_into(self, last: XNode) -> bool:
        """Replaces the series that ends in a node, if one does and less does the same."""
        operator = last.xnode_union
        if not isinstance(operator, _MOVES) or self._goes_on(operator.output_id):
            return False
        series = self._series(operator)
        source, result = series[0].input_id, operator.output_id
        arrangement = Arrangement(self._values.shape(source))
        for each in series:
            if isinstance(each, XNNStaticTranspose):
                arrangement.permute(each.perm)
            elif isinstance(each, XNNStaticReshape) and not arrangement.reshape(
                self._values.shape(each.output_id)
            ):
                return False
        moves = self._fewest(source, result, *arrangement.as_one())
        if len(moves) >= len(series):
            return False
        self._replace(last, moves, source)
        return True

    def _goes_on(self, identifier: int) -> bool:
        """Whether nothing but further moves reads a value."""
        readers = self._readers(identifier)
        inner = not self._values.is_output(identifier)
        return inner and all(isinstance(reader, _MOVES) for reader in readers)

    def _series(self, last: Any) -> list[Any]:
        """The longest series of moves up to a node whose source has the result's numbers."""
        series, longest = [last], 1
        while (writer := self._writer.get(series[0].input_id)) is not None:
            operator = writer.xnode_union
            if not isinstance(operator, (*_MOVES, XNNConvert)):
                break
            series.insert(0, operator)
            if self._values.same_numbers(operator.input_id, last.output_id):
                longest = len(series)
            elif not self._values.holds(operator.input_id, last.output_id):
                break
        return series[-longest:]

    def _fewest(self, source: int, result: int, shape: list[int], order: list[int]) -> list[Any]:
        """At most a reshape, a transposition and a reshape, the last one writing `result`."""
        values = self._values
        moved = [shape[axis] for axis in order]
        moves: list[Any] = []
        at = source
        if order != sorted(order):
            if values.shape(at) != shape:
                at = self._append(moves, XNNStaticReshape, shape, at, values.add_like(at, shape))
            inner = values.shape(result) != moved
            target = values.add_like(source, moved) if inner else result
            at = self._append(moves, XNNStaticTranspose, order, at, target)
        unchanged = at == source and values.shape(source) == values.shape(result)
        if at != result and (not unchanged or values.is_output(result)):
            self._append(moves, XNNStaticReshape, values.shape(result), at, result)
        return moves

    @staticmethod
    def _append(moves: list[Any], kind: Any, argument: list[int], at: int, to: int) -> int:
        moves.append(kind(len(argument), list(argument), at, to, 0))
        return to

    def _replace(self, last: XNode, moves: list[Any], source: int) -> None:
        nodes = self._graph.xnodes
        index = nodes.index(last)
        nodes[index : index + 1] = [XNode(move, last.debug_handle) for move in moves]
        if not moves:
            for reader in self._readers(last.xnode_union.output_id):
                replace_input(reader, last.xnode_union.output_id, source)

    def _drop_unused(self) -> None:
        """Removes nodes whose results nobody reads any more, and their values."""
        needed: set[int] = set()
        kept: list[XNode] = []
        for node in reversed(self._graph.xnodes):
            written = output_ids(node.xnode_union)
            if any(each in needed or self._values.is_output(each) for each in written):
                kept.insert(0, node)
                needed |= {*written, *input_ids(node.xnode_union)}
        self._graph.xnodes = kept
        self._graph.xvalues = [
            value
            for value in self._graph.xvalues
            if tensor_of(value).id_out in needed or tensor_of(value).flags
        ]

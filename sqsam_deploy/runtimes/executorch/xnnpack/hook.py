"""A place to work on XNNPACK's graph: just before ExecuTorch serializes it.

ExecuTorch (1.5) has no public one. Its preprocessing ends by calling
`xnnpack_preprocess.serialize_xnnpack_binary`, which is wrapped here while a program is lowered.
"""

import contextlib
from collections.abc import Iterator
from unittest import mock

from sqsam_deploy.runtimes.executorch.xnnpack.movement import join_moves


@contextlib.contextmanager
def rewritten_delegates() -> Iterator[None]:
    """Joins the moves of every XNNPACK graph that is serialized inside."""
    from executorch.backends.xnnpack import xnnpack_preprocess as preprocess
    from executorch.backends.xnnpack.serialization.xnnpack_graph_schema import XNNGraph

    serialize = preprocess.serialize_xnnpack_binary

    def rewritten(graph: XNNGraph, constants: bytearray) -> bytes:
        join_moves(graph)
        written: bytes = serialize(graph, constants)
        return written

    with mock.patch.object(preprocess, "serialize_xnnpack_binary", rewritten):
        yield

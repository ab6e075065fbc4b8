"""What ExecuTorch does again and again while it lowers a program, left out."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from unittest import mock

from torch.fx import GraphModule

if TYPE_CHECKING:
    from executorch.exir.pass_base import ExportPass

#: What a pass may define without changing what tracing a graph again gives.
_HARMLESS = ("call", "requires", "ensures", "_abc_impl", "_initialized")

_Snapshot = list[tuple[Any, ...]]


@contextlib.contextmanager
def changed_graphs_only() -> Iterator[None]:
    """Skips tracing a graph that is as the last pass left it.

    A pass of ExecuTorch 1.5 ends by tracing the graph again, operator by operator, also when it
    found nothing to change; most of XNNPACK's look for operators that these networks do not have.
    A pass that takes part in the tracing itself (`call_operator` and the like) is never skipped.
    """
    from executorch.backends.xnnpack._passes.convert_to_upsample_bilinear2d import (
        ConvertToUpsampleBilinear2d,
    )
    from executorch.exir.pass_base import ExportPass, _ExportPassBase
    from torch.fx.passes.infra.pass_base import PassResult

    trace = _ExportPassBase.call
    traced: tuple[GraphModule, _Snapshot] | None = None

    def trace_changed(each: ExportPass, module: GraphModule) -> PassResult:
        nonlocal traced
        if _only_looks(type(each)) and traced == (module, _snapshot(module)):
            return PassResult(module, True)
        result: PassResult = trace(each, module)
        traced = result.graph_module, _snapshot(result.graph_module)
        return result

    find_bilinear = ConvertToUpsampleBilinear2d.call

    def find_gathering(each: ConvertToUpsampleBilinear2d, module: GraphModule) -> PassResult:
        return (find_bilinear if _gathers(module) else trace_changed)(each, module)

    with (
        mock.patch.object(_ExportPassBase, "call", trace_changed),
        mock.patch.object(ConvertToUpsampleBilinear2d, "call", find_gathering),
    ):
        yield


def _gathers(module: GraphModule) -> bool:
    """Whether there may be a decomposed bilinear upsampling, which picks its pixels by index.

    To look for one ExecuTorch exports and lowers four small networks, which takes a second.
    """
    return any("index" in str(n.target) or "bilinear" in str(n.target) for n in module.graph.nodes)


def _only_looks(kind: type["ExportPass"]) -> bool:
    """Whether a kind of pass leaves the tracing as `ExportPass` has it."""
    from executorch.exir.pass_base import ExportPass

    if not issubclass(kind, ExportPass):
        return False
    below = kind.__mro__[: kind.__mro__.index(ExportPass)]
    own = {name for each in below for name in vars(each) if not name.startswith("__")}
    return not (own - {*_HARMLESS}) & {*dir(ExportPass)}


def _snapshot(module: GraphModule) -> _Snapshot:
    return [(n, n.op, n.target, n.args, n.kwargs) for n in module.graph.nodes]

"""Private parts of torch, so that tracing a large graph over and over takes half as long.

The patches leave out records and code that nothing reads; the programs come out the same.
"""

import contextlib
import importlib
import inspect
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any
from unittest import mock

from torch.export import ExportedProgram
from torch.fx import Graph, GraphModule, config
from torch.utils._python_dispatch import TorchDispatchMode

from sqsam_deploy._internal.upstream.patches import Library, Used, patch

#: `TorchDispatchMode` has no public name yet; torch documents it under this one.
__all__ = [
    "TORCH",
    "TorchDispatchMode",
    "code_on_demand",
    "inductor_on_demand",
    "lean_tracing",
    "operators_listed_once",
    "quantization_remembered",
    "shared_provenance",
    "unvalidated",
]

TORCH = Library("torch", ("2.13",))


@contextlib.contextmanager
def lean_tracing() -> Iterator[None]:
    """Traces without stack traces and copied provenance, checks in between, and unused code."""
    with (
        mock.patch.object(config, "do_not_emit_stack_traces", True),
        shared_provenance(),
        code_on_demand(),
        unvalidated(),
        operators_listed_once(),
        quantization_remembered(),
    ):
        yield


@patch(TORCH, "lowering takes longer")
def shared_provenance(used: Used) -> Iterator[None]:
    """Lets nodes share the records of where they came from, instead of copying them.

    torch 2.13 copies a node's whole chain of records, as deep as the passes before, each time a
    pass makes a node from it. The records are never changed, and nothing here reads them.
    """
    from torch.fx.traceback import NodeSource

    def itself(source: NodeSource, memo: object) -> NodeSource:
        del memo
        used()
        return source

    with mock.patch.object(NodeSource, "__deepcopy__", itself, create=True):
        yield


@patch(TORCH, "lowering takes longer")
def code_on_demand(used: Used) -> Iterator[None]:
    """Lets a graph module become Python code when it is first called, not whenever it is changed.

    ExecuTorch 1.5 writes and compiles the code of every graph some 500 times in one lowering, and
    calls almost none: its passes interpret the graphs. It also formats them, code included, for
    log messages that are not shown. torch's own `_use_lazy_graph_module` holds only for modules
    that are made with its helper: on a small network it left 201 of 221 compilations, this 2.
    """
    from torch.fx.graph import _PyTreeCodeGen

    compile_now = GraphModule.recompile

    def compile_later(module: GraphModule) -> None:
        used()
        names = [str(node.target) for node in module.graph.find_nodes(op="placeholder")]
        codegen = module.graph._codegen
        if isinstance(codegen, _PyTreeCodeGen):
            module._in_spec = codegen.pytree_info.in_spec
            module._out_spec = codegen.pytree_info.out_spec
            names = [name for name in codegen.pytree_info.orig_args if name != "self"]

        def first_call(module: GraphModule, *args: Any, **kwargs: Any) -> Any:
            compile_now(module)
            return module.forward(*args, **kwargs)

        # `torch.export` names a program's inputs by it.
        first_call.__dict__["__signature__"] = _signature("self", *names)
        # Each graph module has a class of its own.
        type(module).forward = first_call

    def name_only(module: GraphModule) -> str:
        return type(module).__name__

    with (
        mock.patch.object(GraphModule, "recompile", compile_later),
        mock.patch.object(GraphModule, "__str__", name_only),
    ):
        yield


def _signature(*names: str) -> inspect.Signature:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Signature([inspect.Parameter(name.lstrip("*"), kind) for name in names])


@patch(TORCH, "lowering takes longer")
def unvalidated(used: Used) -> Iterator[None]:
    """Leaves out the check of every operator in every program that is made on the way.

    torch 2.13 and ExecuTorch 1.5 check some 60 programs in one lowering. The artifact at its end is
    run and compared with the float network.
    """
    with mock.patch.object(ExportedProgram, "_validate", lambda program: used()):
        yield


@patch(TORCH, "lowering takes longer")
def operators_listed_once(used: Used) -> Iterator[None]:
    """Lists the operators that have a decomposition of their own once, not once a namespace.

    torch 2.13 asks its dispatcher for all 838 of them in each of 39 namespaces, several times in
    one lowering; the list is the same each time.
    """
    from torch._export import utils
    from torch.export import decomp_utils, exported_program

    list_operators, search = utils._materialize_cpp_cia_ops, utils._collect_all_valid_cia_ops

    def search_once() -> Any:
        used()
        list_operators()
        with mock.patch.object(utils, "_materialize_cpp_cia_ops", lambda: None):
            return search()

    name = "_collect_all_valid_cia_ops"
    with (
        mock.patch.object(decomp_utils, name, search_once),
        mock.patch.object(exported_program, name, search_once),
    ):
        yield


@patch(TORCH, "lowering takes longer")
def quantization_remembered(used: Used) -> Iterator[None]:
    """Lets fake tensors remember what quantizing gives, as they do of torch's own operators.

    torch 2.13 remembers it of its own namespaces alone, and computes the shape and type of every
    value of another operator again. The results of these depend on nothing else either.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    refuse_others = FakeTensorMode._validate_cache_key

    def refuse(mode: FakeTensorMode, operator: Any, *arguments: Any) -> None:
        used()
        if getattr(operator, "namespace", "") != "quantized_decomposed":
            refuse_others(mode, operator, *arguments)

    with mock.patch.object(FakeTensorMode, "_validate_cache_key", refuse):
        yield


@patch(TORCH, "ExecuTorch's compiler takes longer to import")
def inductor_on_demand(used: Used) -> Iterator[None]:
    """Imports torch's pass for functionalized operators without torch's own compiler, inductor.

    ExecuTorch's compiler imports that pass of torch 2.13. It takes one function of inductor, four
    seconds of a processor to import, which has nothing to do in a program without such operators.
    """
    name = "torch._inductor.fx_passes.post_grad"

    def decompose(graph: Graph) -> None:
        if any("auto_functionalized" in str(node.target) for node in graph.nodes):
            importlib.import_module(name).decompose_auto_functionalized(graph)

    if name not in sys.modules:
        stand_in = ModuleType(name)
        stand_in.__dict__["decompose_auto_functionalized"] = decompose
        sys.modules[name] = stand_in
        try:
            importlib.import_module("torch.export._remove_auto_functionalized_pass")
        finally:
            del sys.modules[name]
    used()
    yield

"""Private parts of ExecuTorch: XNNPACK's graph before it is written, faster lowering, the format.

What only reads or runs a file needs ExecuTorch's private names and says so in one sentence where
they are gone (`private`); what changes the lowering goes without (`patch`).
"""

import importlib
import sys
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any
from unittest import mock

from sqsam_deploy._internal.upstream.patches import (
    Library,
    Used,
    patch,
    private,
    unexecuted,
    warn_once,
)

if TYPE_CHECKING:
    from executorch.backends.xnnpack.serialization.xnnpack_graph_schema import XNNGraph
    from executorch.exir.pass_base import ExportPass
    from executorch.exir.schema import Program
    from torch.fx import GraphModule, Node
    from torch.fx.passes.infra.pass_base import PassResult

EXECUTORCH = Library("executorch", ("1.4", "1.5"))

#: Attributes that a pass may define without changing the result of tracing a graph again.
_HARMLESS = ("call", "requires", "ensures", "_abc_impl", "_initialized")

_Snapshot = list[tuple[Any, ...]]

#: What lowers networks; importing it takes longer than importing torch.
COMPILER = "executorch.exir"
BINDING = "executorch.extension.pybindings.portable_lib"


def load_compiler() -> None:
    """Imports ExecuTorch's compiler and its part for XNNPACK, without torch's own compiler."""
    from sqsam_deploy._internal.upstream.torch import inductor_on_demand

    if COMPILER not in sys.modules:
        with inductor_on_demand():
            importlib.import_module("executorch.backends.xnnpack")


@patch(EXECUTORCH, "the .pte moves more data and runs slower")
def rewritten_delegates(used: Used, rewrite: "Callable[[XNNGraph], object]") -> Iterator[None]:
    """Rewrites every XNNPACK graph in place just before ExecuTorch serializes it.

    ExecuTorch 1.5 has no public place for that. Its preprocessing ends by calling
    `xnnpack_preprocess.serialize_xnnpack_binary`.
    """
    from executorch.backends.xnnpack import xnnpack_preprocess as preprocess

    serialize = preprocess.serialize_xnnpack_binary

    def rewritten(graph: "XNNGraph", constants: bytearray) -> bytes:
        used()
        rewrite(graph)
        written: bytes = serialize(graph, constants)
        return written

    with mock.patch.object(preprocess, "serialize_xnnpack_binary", rewritten):
        yield


@patch(EXECUTORCH, "fp16 .pte files are almost as large as fp32 ones")
def half_weights(used: Used) -> Iterator[None]:
    """Writes the float16 weights of convolutions as they are.

    ExecuTorch 1.5 writes them as float32, whatever they are (`Conv2d.define_node` forces it), and
    XNNPACK rounds them to float16 when the file is loaded. Nothing else forces the type of a
    float16 tensor that is not quantized.
    """
    from executorch.backends.xnnpack.operators.node_visitor import NodeVisitor

    define = NodeVisitor.define_tensor

    def as_it_is(each: NodeVisitor, tensor: "Node", *args: Any, **options: Any) -> None:
        used()
        if not options.get("quant_params") and _is_half(tensor.meta.get("val")):
            options["force_fp32"] = False
        define(each, tensor, *args, **options)

    with mock.patch.object(NodeVisitor, "define_tensor", as_it_is):
        yield


def _is_half(value: object) -> bool:
    import torch

    return isinstance(value, torch.Tensor) and value.dtype == torch.float16


@patch(EXECUTORCH, "lowering takes longer")
def changed_graphs_only(used: Used) -> Iterator[None]:
    """Skips tracing a graph that is as the last pass left it.

    A pass of ExecuTorch 1.5 ends by tracing the graph again, operator by operator, also when it
    found nothing to change; most of XNNPACK's look for operators that these networks do not have.
    A pass that takes part in the tracing itself (`call_operator` and the like) is never skipped.
    """
    from executorch.exir.pass_base import _ExportPassBase
    from torch.fx.passes.infra.pass_base import PassResult

    trace = _ExportPassBase.call
    traced: tuple[GraphModule, _Snapshot] | None = None

    def trace_changed(each: "ExportPass", module: "GraphModule") -> "PassResult":
        nonlocal traced
        if _only_looks(type(each)) and traced == (module, _snapshot(module)):
            used()
            return PassResult(module, True)
        result: PassResult = trace(each, module)
        traced = result.graph_module, _snapshot(result.graph_module)
        return result

    with mock.patch.object(_ExportPassBase, "call", trace_changed):
        yield


@patch(EXECUTORCH, "lowering takes longer")
def computed_once(used: Used) -> Iterator[None]:
    """Remembers what an operator gives for tensors of the same shapes and types, in all passes.

    A pass of ExecuTorch 1.5 that traces a graph again computes the shape and type of every value
    again, though it changes few nodes: more than half of its time.
    """
    from executorch.exir.pass_base import _ExportPassBase

    trace_node = _ExportPassBase._fx
    known: dict[Hashable, Any] = {}

    def remembered(compute: "Callable[..., Any]", target: Any, args: Any, kwargs: Any) -> Any:
        try:
            key = target, _key(args), _key(kwargs)
        except _ValuesMatterError:
            return compute(target, args, kwargs)
        if key in known:
            used()
            return known[key]
        result = compute(target, args, kwargs)
        if _is_new(target, result):
            known[key] = result
        return result

    def traced(each: "ExportPass", kind: str, *arguments: Any) -> Any:
        own = vars(each.interpreter)
        if "call_function" not in own:
            own["call_function"] = partial(remembered, each.interpreter.call_function)
        return trace_node(each, kind, *arguments)

    with mock.patch.object(_ExportPassBase, "_fx", traced):
        yield


class _ValuesMatterError(Exception):
    """A result depends on more than shapes and types."""


def _key(value: Any) -> Hashable:
    """An argument as far as the shapes and types of results depend on it.

    Raises:
        _ValuesMatterError: It holds a tensor with values of its own.
    """
    import torch
    from torch._subclasses.fake_tensor import FakeTensor

    if isinstance(value, FakeTensor) and value.constant is None:
        return id(value.fake_mode), value.shape, value.stride(), value.dtype, value.fake_device
    if isinstance(value, torch.Tensor):
        raise _ValuesMatterError
    if isinstance(value, list | tuple):
        return tuple(map(_key, value))
    if isinstance(value, dict):
        return tuple((name, _key(each)) for name, each in value.items())
    return type(value), value


def _is_new(target: Any, result: Any) -> bool:
    """Whether an operator gave one tensor that shares nothing with its arguments."""
    from torch._subclasses.fake_tensor import FakeTensor

    schema = getattr(target, "_schema", None)
    return (
        isinstance(result, FakeTensor)
        and result.constant is None
        and schema is not None
        and all(each.alias_info is None for each in (*schema.returns, *schema.arguments))
    )


@patch(EXECUTORCH, "lowering takes longer")
def decomposed_once(used: Used) -> Iterator[None]:
    """Traces a program once on its way to XNNPACK, where ExecuTorch 1.5 does so three times.

    The first time makes it functional, which the second does too, while it decomposes what XNNPACK
    does not take; the third decomposes what XNNPACK refuses of the rest, mostly nothing.
    """
    from torch.export import ExportedProgram

    decompose = ExportedProgram.run_decompositions
    functional: set[ExportedProgram] = set()

    def where_needed(
        program: ExportedProgram, table: "Mapping[Any, Any] | None" = None, **options: Any
    ) -> ExportedProgram:
        # An empty table only makes a program functional: the next decomposition does that too.
        if table is not None and (
            not table
            or (program in functional and not any(n.target in table for n in program.graph.nodes))
        ):
            used()
            return program
        decomposed: ExportedProgram = decompose(program, table, **options)
        functional.add(decomposed)
        return decomposed

    with mock.patch.object(ExportedProgram, "run_decompositions", where_needed):
        yield


@patch(EXECUTORCH, "lowering takes longer")
def no_search_for_bilinear(used: Used) -> Iterator[None]:
    """Skips the search for a decomposed bilinear upsampling where no operator can belong to one.

    To search, ExecuTorch exports and lowers four small networks, which takes a second.
    """
    from executorch.backends.xnnpack._passes.convert_to_upsample_bilinear2d import (
        ConvertToUpsampleBilinear2d,
    )
    from executorch.exir.pass_base import ExportPass

    search = ConvertToUpsampleBilinear2d.call

    def search_where_gathered(each: "ExportPass", module: "GraphModule") -> "PassResult":
        used()
        found: PassResult = (search if _gathers(module) else ExportPass.call)(each, module)
        return found

    with mock.patch.object(ConvertToUpsampleBilinear2d, "call", search_where_gathered):
        yield


def _gathers(module: "GraphModule") -> bool:
    """Whether there may be a decomposed bilinear upsampling, which picks its pixels by index."""
    return any("index" in str(n.target) or "bilinear" in str(n.target) for n in module.graph.nodes)


def _only_looks(kind: "type[ExportPass]") -> bool:
    """Whether a kind of pass leaves the tracing as `ExportPass` has it."""
    from executorch.exir.pass_base import ExportPass

    if not issubclass(kind, ExportPass):
        return False
    below = kind.__mro__[: kind.__mro__.index(ExportPass)]
    own = {name for each in below for name in vars(each) if not name.startswith("__")}
    return not (own - {*_HARMLESS}) & {*dir(ExportPass)}


def _snapshot(module: "GraphModule") -> _Snapshot:
    return [(n, n.op, n.target, n.args, n.kwargs) for n in module.graph.nodes]


def parse_program(flatbuffer: bytes) -> "Program":
    """The program of a `.pte` from its flatbuffer, without the segments behind it.

    Raises:
        MissingDependencyError: This release of ExecuTorch has no such reader.
    """
    program: Program = _read("_flatbuffer_program", "_flatbuffer_to_program", flatbuffer)
    return program


def parse_file(content: bytes) -> "Program":
    """The program of a whole `.pte`, with the bytes of its delegates.

    Raises:
        MissingDependencyError: This release of ExecuTorch has no such reader.
    """
    program: Program = _read("_program", "deserialize_pte_binary", content).program
    return program


def _read(module: str, name: str, content: bytes) -> Any:
    # Its classes are the compiler's only where that is loaded: they are told apart by their names.
    with unexecuted(COMPILER):
        reader = importlib.import_module(f"executorch.exir._serialize.{module}")
        return private(EXECUTORCH, reader, name, "read .pte files")(content)


def runtime(module: str = "executorch.runtime") -> ModuleType:
    """ExecuTorch's runtime, or another module of its binding, without the compiler.

    The binding imports a class of warnings from the compiler's package, and with it all of that.

    Raises:
        ModuleNotFoundError: ExecuTorch is not installed.
    """
    # A file is opened often, and timed: what is loaded is not looked for again.
    with nullcontext() if module in sys.modules else unexecuted(COMPILER):
        return importlib.import_module(module)


def load_program(path: Path, *, events: bool) -> Any:
    """A program whose methods hand out their outputs without copying them, for timing.

    Args:
        path: A `.pte`.
        events: Whether its event tracer is on. `executorch.runtime` has neither.

    Raises:
        MissingDependencyError: This release of ExecuTorch has no such binding.
    """
    load = private(EXECUTORCH, runtime(BINDING), "_load_program", "time .pte files")
    return load(str(path), enable_etdump=events)


def set_threads(threads: int) -> None:
    """Sizes the one thread pool that ExecuTorch keeps for the process."""
    portable_lib = runtime(BINDING)
    try:
        if portable_lib._threadpool_get_thread_count() != threads:
            portable_lib._unsafe_reset_threadpool(threads)
    except AttributeError as error:
        warn_once(f"executorch {EXECUTORCH.installed}: threads stay as they are, {error}")

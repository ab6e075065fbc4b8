"""ONNX Runtime's own profile: a Chrome trace with one event per node and run."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy._internal.temporary import scratch_directory
from sqsam_deploy.runtimes.inspection import OperatorGroup, count_operators
from sqsam_deploy.runtimes.onnx.raw import OnnxNetwork
from sqsam_deploy.runtimes.profiling import Event, Profile, ProfiledRun, add_up

TOOL = "onnxruntime profile"
Trace = list[dict[str, Any]]
_INT8 = ("int8", "uint8")
_CONVERSIONS = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear")
#: Between element types of floating point, and between ONNX Runtime's memory formats.
_REARRANGEMENTS = ("Cast", "ReorderInput", "ReorderOutput")
#: Runs at the start that are not counted: memory is still being planned.
_UNCOUNTED = 2


def profile_onnx(
    path: Path, feeds: Sequence[NDArray[np.generic]], threads: int, count: int
) -> ProfiledRun:
    """Runs a network `count` times with onnxruntime's profiling on."""
    trace = trace_onnx(path, feeds, threads, count)
    return ProfiledRun(read_trace(trace), run_operators(trace))


def trace_onnx(path: Path, feeds: Sequence[NDArray[np.generic]], threads: int, count: int) -> Trace:
    """The raw profile of the same runs, the uncounted ones included."""
    with scratch_directory("profile") as folder:
        network = OnnxNetwork(path, threads, profile_prefix=f"{folder}/profile")
        for _ in range(_UNCOUNTED + count):
            network.run(feeds)
        trace: Trace = json.loads(Path(network.session.end_profiling()).read_text())
    return trace


def read_trace(trace: Trace) -> Profile:
    """Adds up a trace by operator and execution provider."""
    runs = [event for event in trace if event["name"] == "model_run"][_UNCOUNTED:]
    nodes = [event for event in trace if event["name"].endswith("_kernel_time")]
    inferences = [[_event(node) for node in nodes if _within(node, run)] for run in runs]
    totals = [run["dur"] / 1e3 for run in runs]
    return Profile(
        tool=TOOL,
        total=float(np.median(totals)),
        operators=add_up(inferences, totals),
    )


def _within(node: dict[str, Any], run: dict[str, Any]) -> bool:
    """Whether a node ran in this run: times are in microseconds since the session began."""
    return bool(run["ts"] <= node["ts"] < run["ts"] + run["dur"])


def _event(node: dict[str, Any]) -> Event:
    arguments = node["args"]
    provider = arguments["provider"].removesuffix("ExecutionProvider")
    return Event(arguments["op_name"], provider, node["dur"] / 1e3)


def run_operators(trace: Trace) -> tuple[OperatorGroup, ...]:
    """The kernels of one inference, after ONNX Runtime's own optimizations.

    Each node counts once, however often it ran. "int8" are kernels with an int8 input, whatever
    they return; conversions are quantizing, dequantizing, casts and changes of memory format.
    """
    nodes = {
        event["args"]["node_index"]: event["args"]
        for event in trace
        if event["name"].endswith("_kernel_time")
    }
    kinds: dict[str, list[str]] = {"int8": [], "float": [], "conversions": []}
    for node in nodes.values():
        kinds[_kind(node)].append(node["op_name"])
    return tuple(OperatorGroup(title, count_operators(names)) for title, names in kinds.items())


def _kind(node: dict[str, Any]) -> str:
    if node["op_name"] in (*_CONVERSIONS, *_REARRANGEMENTS):
        return "conversions"
    types = [next(iter(tensor)) for tensor in node["input_type_shape"]]
    return "int8" if any(name in _INT8 for name in types) else "float"

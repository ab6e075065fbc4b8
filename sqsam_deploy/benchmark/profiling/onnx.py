"""ONNX Runtime's own profile: a Chrome trace with one event per node and run."""

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy.benchmark.plain import OnnxNetwork
from sqsam_deploy.benchmark.profiling.costs import Event, add_up
from sqsam_deploy.benchmark.result import Profile

Trace = list[dict[str, Any]]
#: Runs at the start that are not counted: memory is still being planned.
_UNCOUNTED = 2


def profile_onnx(
    path: Path, feeds: Sequence[NDArray[np.generic]], threads: int, count: int
) -> Profile:
    """Runs a network `count` times with onnxruntime's profiling on."""
    return read_trace(trace_onnx(path, feeds, threads, count))


def trace_onnx(path: Path, feeds: Sequence[NDArray[np.generic]], threads: int, count: int) -> Trace:
    """The raw profile of the same runs, the uncounted ones included."""
    with tempfile.TemporaryDirectory() as folder:
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
        tool="onnxruntime profile",
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

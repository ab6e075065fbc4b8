"""ExecuTorch's ETDump: events of the runtime and, inside a delegate call, of the delegate."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from sqsam_deploy._internal.temporary import scratch_directory
from sqsam_deploy.runtimes.executorch.raw import ExecuTorchNetwork
from sqsam_deploy.runtimes.profiling import Event, Profile, add_up

if TYPE_CHECKING:
    from executorch.devtools.inspector import Event as DumpedEvent

TOOL = "ExecuTorch ETDump"
DELEGATE_CALL = "DELEGATE_CALL"
OUTSIDE = "outside delegates"
_WHOLE = "Method::execute"
_NATIVE = "native_call_"
#: Inferences at the start that are not counted.
_UNCOUNTED = 2


@dataclass(frozen=True)
class _Series:
    """One event of the program: what it is, and its milliseconds in each inference."""

    name: str
    delegated: bool
    milliseconds: tuple[float, ...]


def profile_executorch(
    path: Path, feeds: Sequence[NDArray[np.generic]], threads: int, count: int
) -> Profile:
    """Runs a program `count` times with its event tracer on."""
    from executorch.devtools import Inspector

    network = ExecuTorchNetwork(path, threads, events=True)
    for _ in range(_UNCOUNTED + count):
        network.run(feeds)
    with scratch_directory("profile") as folder:
        dump = folder / "events.etdp"
        network.program.write_etdump_result_to_file(str(dump), None)
        blocks = Inspector(etdump_path=str(dump)).event_blocks
    events = next(block.events for block in blocks if block.name == "Execute")
    return _profile([_series(event) for event in events])


def _series(event: "DumpedEvent") -> _Series:
    samples = event.perf_data.raw if event.perf_data else []
    return _Series(
        name=event.name,
        delegated=bool(event.is_delegated_op),
        milliseconds=tuple(max(float(value), 0.0) for value in samples[_UNCOUNTED:]),
    )


def _profile(series: Sequence[_Series]) -> Profile:
    whole = next(item for item in series if item.name == _WHOLE)
    named = _name_events(series)
    inferences = [
        [Event(name, place, values[index]) for name, place, values in named]
        for index in range(len(whole.milliseconds))
    ]
    return Profile(
        tool=TOOL,
        total=float(np.median(whole.milliseconds)),
        operators=add_up(inferences, whole.milliseconds),
        delegate_calls=sum(item.name == DELEGATE_CALL for item in series),
    )


def _name_events(series: Sequence[_Series]) -> list[tuple[str, str, tuple[float, ...]]]:
    """Each leaf event with its kind and place.

    A delegate's own events come before the call they belong to; what the call takes beyond them
    is the cost of entering it and of copying its inputs and outputs.
    """
    named, inside = [], np.zeros(1)
    for item in series:
        if item.delegated:
            named.append((_kind(item.name), "XNNPACK", item.milliseconds))
            inside = inside + np.array(item.milliseconds)
        elif item.name == DELEGATE_CALL:
            extra = np.maximum(np.array(item.milliseconds) - inside, 0)
            named.append(("delegate call itself", "runtime", tuple(extra.tolist())))
            inside = np.zeros(1)
        elif item.name.startswith(_NATIVE):
            kind = item.name.removeprefix(_NATIVE).removesuffix(".out")
            named.append((kind, OUTSIDE, item.milliseconds))
    return named


def _kind(name: str) -> str:
    """`Convolution (NHWC, QS8, QC8W) IGEMM #12` without its number."""
    return re.sub(r" #\d+$", "", name)

"""The request of a benchmark on this machine, whose fields are the options of `sqsam-bench DIR`."""

from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from sqsam_deploy._internal.requests import POSITIVE, convert_paths


@dataclass(frozen=True)
class BenchRequest:
    """Which artifacts are measured, beside what, and how often.

    Attributes:
        directories: Directories that sqsam-export wrote.
        threads: Numbers of threads, joined by commas. Without it 1, 2, 4 and so on, up to the
            number of cores.
        rounds: Number of turns that every artifact takes. More turns narrow the intervals.
        processes: Number of new processes in which every artifact takes its turns. More narrow
            the intervals better than more turns do.
        torch: Also measure torch on the CPU, with random weights.
        peak: Also measure the peak rate of this processor.
        cpp: Also run every ExecuTorch artifact in a C++ program, built here, for the memory, load
            time and first inference of a process without Python.
        profile: Also profile each artifact by operator.
        peers: Directory of other networks, written by benchmarks/peers/build.py.
        peer: Another network, as its exporter wrote it: NAME=ENCODER.onnx+DECODER.onnx, or
            NAME=FILE.onnx. Encoder and decoder are rows of their own. May be given several times.
    """

    directories: Annotated[tuple[Path, ...], Parameter(metavar="DIR")]
    _: KW_ONLY
    threads: Annotated[str | None, Parameter(metavar="N,N,...")] = None
    rounds: Annotated[int, Parameter(validator=Number(gte=3))] = 12
    processes: Annotated[int, POSITIVE] = 4
    torch: Annotated[bool, Parameter(negative="--no-torch")] = True
    peak: Annotated[bool, Parameter(negative="--no-peak")] = True
    cpp: bool = False
    profile: Annotated[bool, Parameter(negative="--no-profile")] = True
    peers: Annotated[Path | None, Parameter(metavar="DIR")] = None
    peer: Annotated[tuple[str, ...], Parameter(metavar="NAME=FILE+FILE")] = ()

    def __post_init__(self) -> None:
        """Takes paths as text too."""
        convert_paths(self)

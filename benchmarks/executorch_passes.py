"""What each rewrite for XNNPACK gains: latency without it, in one interleaved run.

    python benchmarks/executorch_passes.py paper --program paper.pt2 [--threads 2] [--rounds 6]

The int8 program, of random weights, is kept in the file, so that a second call only measures.
"""

import argparse
import contextlib
import io
import sys
import time
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from executorch.runtime import Runtime
from random_artifacts import calibrated_network

from sqsam_deploy._internal.upstream.executorch import rewritten_delegates, set_threads
from sqsam_deploy.datasets import bundled_dataset
from sqsam_deploy.folding import fold
from sqsam_deploy.model.config import preset
from sqsam_deploy.model.description import describe
from sqsam_deploy.quantization import build_calibration, quantize
from sqsam_deploy.runtimes.executorch import passes
from sqsam_deploy.runtimes.executorch.lowering import delegate
from sqsam_deploy.runtimes.executorch.xnnpack import join_moves

_PHOTOS = 2
_PAUSE = 0.05
_RUNS_IN_A_ROW = 4
_PASSES = passes._PASSES


def save_program(preset_name: str, path: Path) -> None:
    """Writes the int8 program of random weights."""
    network = calibrated_network(preset_name)
    samples = build_calibration(bundled_dataset("calibration"), network.config, size=_PHOTOS)
    torch.export.save(quantize(fold(network), samples).program, path)


class Subject:
    """One variant of the program, lowered and loaded."""

    def __init__(self, path: Path, preset_name: str, without: str) -> None:
        content = _lowered(torch.export.load(path), preset_name, without)
        self._program = Runtime.get().load_program(content)
        self._method = self._program.load_method("forward")
        described = self._method.metadata
        self._feeds = [
            _feed(described.input_tensor_meta(index)) for index in range(described.num_inputs())
        ]
        self.milliseconds: list[float] = []

    def measure(self) -> None:
        """A few inferences in a row, of which the first is not counted."""
        time.sleep(_PAUSE)
        for number in range(_RUNS_IN_A_ROW):
            start = time.perf_counter()
            self._method.execute(self._feeds)
            if number:
                self.milliseconds.append(1000 * (time.perf_counter() - start))


def _lowered(program: torch.export.ExportedProgram, preset_name: str, without: str) -> bytes:
    metadata = describe(
        preset(preset_name), runtime="executorch", precision="int8", weights_sha256=""
    )
    kept = (
        () if without == "everything" else tuple(p for p in _PASSES if type(p).__name__ != without)
    )
    interleaved = without not in ("everything", "interleaved pixels")
    join = _leave if without in ("everything", "join_moves") else join_moves
    with (
        mock.patch.object(passes, "_PASSES", kept),
        rewritten_delegates(join),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        optimized = passes.optimize(program, interleaved=interleaved)
        return bytes(delegate(optimized, metadata).to_executorch().buffer)


def _leave(graph: object) -> int:
    del graph
    return 0


def _feed(meta: Any) -> torch.Tensor:
    dtype = torch.int8 if meta.dtype() == 1 else torch.float32
    return torch.randint(0, 4, meta.sizes()).to(dtype)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("preset")
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    if not options.program.exists():
        save_program(options.preset, options.program)
    set_threads(options.threads)
    rewrites = [type(each).__name__ for each in _PASSES] + ["interleaved pixels", "join_moves"]
    subjects = {
        name: Subject(options.program, options.preset, name)
        for name in ("nothing", "everything", *rewrites)
    }
    for _ in range(options.rounds):
        for subject in subjects.values():
            subject.measure()
    for name, subject in subjects.items():
        median = np.median(subject.milliseconds)
        sys.stdout.write(f"without {name:30} {median:7.2f} ms\n")


if __name__ == "__main__":
    main()

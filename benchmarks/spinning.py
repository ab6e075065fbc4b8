"""Whether spinning threads make ONNX Runtime's times jump, by experiment on a quiet machine.

    python benchmarks/spinning.py artifacts/nano-int8.onnx --threads 2

One fresh process for each of four ways, in turns: ONNX Runtime's threads spin or sleep, and so do
OpenMP's, with which torch enlarges a mask between two inferences as an app does. For each way it
prints the typical inference and how far single rounds lie from it.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

WAYS = [(spin, wait) for spin in ("1", "0") for wait in ("ACTIVE", "PASSIVE")]
#: Inferences of a round.
INFERENCES = 30


def worker(path: Path, threads: int, spin: str) -> None:
    """One round: prints the milliseconds of every inference."""
    import onnxruntime
    import torch

    from sqsam_deploy.runtimes.onnx.raw import OnnxNetwork

    torch.set_num_threads(threads)
    feeds = OnnxNetwork(path, threads).random_inputs()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.add_session_config_entry("session.intra_op.allow_spinning", spin)
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    named = dict(zip([item.name for item in session.get_inputs()], feeds, strict=True))
    mask = torch.randn(1, 1, 128, 128)
    times = []
    for _ in range(INFERENCES + 5):
        start = time.perf_counter()
        session.run(None, named)
        times.append(1e3 * (time.perf_counter() - start))
        torch.nn.functional.interpolate(mask, (960, 1280), mode="bilinear")
    print(json.dumps(times[5:]))


def main() -> None:
    """Runs all ways in turns."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--worker", metavar="SPIN", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker is not None:
        worker(arguments.path, arguments.threads, arguments.worker)
        return
    medians: dict[tuple[str, str], list[float]] = {way: [] for way in WAYS}
    for index in range(arguments.rounds):
        for position in np.random.default_rng(index).permutation(len(WAYS)):
            spin, wait = WAYS[position]
            command = [sys.executable, __file__, str(arguments.path), "--worker", spin]
            done = subprocess.run(
                [*command, "--threads", str(arguments.threads)],
                env={**os.environ, "OMP_WAIT_POLICY": wait},
                capture_output=True,
                text=True,
                check=True,
            )
            medians[spin, wait].append(float(np.median(json.loads(done.stdout))))
    for (spin, wait), values in medians.items():
        low, middle, high = np.quantile(values, (0, 0.5, 1))
        print(f"ORT spins {spin}, OpenMP {wait}: {middle:.2f} ms, rounds {low:.2f} to {high:.2f}")


if __name__ == "__main__":
    main()

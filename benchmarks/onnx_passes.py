"""What each pass over the int8 ONNX graph gains: latency without it, in one interleaved run.

    python benchmarks/onnx_passes.py paper --graph paper.onnx [--threads 2] [--rounds 6]

The graph, of random weights, is kept in the file, so that a second call only measures.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import onnx_ir as ir
import onnxruntime
from onnx_ir.serde import serialize_model
from random_artifacts import calibrated_network

from sqsam_deploy.datasets import bundled_dataset
from sqsam_deploy.folding import fold
from sqsam_deploy.model.description import default_inputs, describe
from sqsam_deploy.quantization import build_calibration, quantize
from sqsam_deploy.runtimes.onnx.lowering import translate
from sqsam_deploy.runtimes.onnx.passes import INT8_PIXEL_PASSES, in_sequence

_PHOTOS = 2
#: Lets the threads of the session that ran before go to sleep.
_PAUSE = 0.05
_RUNS_IN_A_ROW = 4


def translated(preset_name: str) -> ir.Model:
    """The int8 graph of random weights, before any pass."""
    network = calibrated_network(preset_name)
    samples = build_calibration(bundled_dataset("calibration"), network.config, size=_PHOTOS)
    program = quantize(fold(network), samples).program
    inputs = default_inputs(network.config)
    metadata = describe(
        network.config, runtime="onnx", precision="int8", weights_sha256="", inputs=inputs
    )
    return translate(program, metadata)


class Subject:
    """One variant of the graph, loaded."""

    def __init__(
        self, graph: Path, passes: tuple[ir.passes.InPlacePass, ...], threads: int
    ) -> None:
        model = ir.load(graph)
        if passes:
            in_sequence(*passes)(model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(
            serialize_model(model).SerializeToString(), options, ["CPUExecutionProvider"]
        )
        self._feeds = {value.name: _feed(value) for value in self._session.get_inputs()}
        self.milliseconds: list[float] = []

    def measure(self) -> None:
        """A few inferences in a row, of which the first is not counted."""
        time.sleep(_PAUSE)
        for number in range(_RUNS_IN_A_ROW):
            start = time.perf_counter()
            self._session.run(None, self._feeds)
            if number:
                self.milliseconds.append(1000 * (time.perf_counter() - start))


def _feed(value: onnxruntime.NodeArg) -> np.ndarray:
    dtype = np.uint8 if value.type == "tensor(uint8)" else np.float32
    top = 4 if value.name == "point_labels" else 256
    drawn: np.ndarray = np.random.default_rng(0).integers(0, top, value.shape).astype(dtype)
    return drawn


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("preset")
    parser.add_argument("--graph", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    if not options.graph.exists():
        ir.save(translated(options.preset), options.graph)
    variants = {"all passes": INT8_PIXEL_PASSES, "no pass": ()}
    for each in INT8_PIXEL_PASSES:
        rest = tuple(other for other in INT8_PIXEL_PASSES if other is not each)
        variants[f"without {type(each).__name__}"] = rest
    subjects = {
        name: Subject(options.graph, passes, options.threads) for name, passes in variants.items()
    }
    for _ in range(options.rounds):
        for subject in subjects.values():
            subject.measure()
    for name, subject in subjects.items():
        sys.stdout.write(f"{name:45} {np.median(subject.milliseconds):7.2f} ms\n")


if __name__ == "__main__":
    main()

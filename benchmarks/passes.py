"""The gain by each rewrite of the int8 program: latency without it, in one interleaved run.

    python benchmarks/passes.py executorch paper --program paper.pt2 [--threads 2] [--rounds 6]
    python benchmarks/passes.py onnx paper --program paper.pt2

The int8 program, of random weights, is kept in the file, so that a second call only measures.
"""

import argparse
import contextlib
import io
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import onnx_ir as ir
import onnxruntime
import torch
from executorch.runtime import Runtime
from onnx_ir.serde import deserialize_model, serialize_model
from random_artifacts import calibrated_network
from torch.export import ExportedProgram

from sqsam_deploy._internal.upstream.executorch import rewritten_delegates, set_threads
from sqsam_deploy.artifact.metadata import ArtifactMetadata, RuntimeName
from sqsam_deploy.datasets import bundled_dataset
from sqsam_deploy.folding import fold
from sqsam_deploy.model.config import preset
from sqsam_deploy.model.description import describe
from sqsam_deploy.quantization import build_calibration, quantize
from sqsam_deploy.runtimes.executorch import passes
from sqsam_deploy.runtimes.executorch.lowering import delegate
from sqsam_deploy.runtimes.executorch.xnnpack import join_moves
from sqsam_deploy.runtimes.onnx.lowering import translate
from sqsam_deploy.runtimes.onnx.passes import INT8_PIXEL_PASSES, in_sequence
from sqsam_deploy.runtimes.onnx.session import session_options

#: One inference of one variant of the program, loaded.
Infer = Callable[[], object]

_PHOTOS = 2
#: Lets the threads of the variant that ran before go to sleep.
_PAUSE = 0.05
_RUNS_IN_A_ROW = 4
_PASSES = passes._PASSES


def save_program(preset_name: str, path: Path) -> None:
    """Writes the int8 program of random weights."""
    network = calibrated_network(preset_name)
    samples = build_calibration(bundled_dataset("calibration"), network.config, size=_PHOTOS)
    torch.export.save(quantize(fold(network), samples).program, path)


def described(preset_name: str, runtime: RuntimeName) -> ArtifactMetadata:
    return describe(preset(preset_name), runtime=runtime, precision="int8", weights_sha256="")


def executorch_variants(path: Path, preset_name: str, threads: int) -> Iterator[tuple[str, Infer]]:
    """Without each pass, lowered and loaded."""
    set_threads(threads)
    metadata = described(preset_name, "executorch")
    rewrites = [type(each).__name__ for each in _PASSES] + ["interleaved pixels", "join_moves"]
    for without in ("nothing", "everything", *rewrites):
        content = _lowered(torch.export.load(path), metadata, without)
        yield without, _execution(content)


def _execution(content: bytes) -> Infer:
    program = Runtime.get().load_program(content)
    method = program.load_method("forward")
    count = method.metadata.num_inputs()
    feeds = [_tensor(method.metadata.input_tensor_meta(index)) for index in range(count)]
    # Only the program keeps the bytes that its methods read.
    return lambda: (method.execute(feeds), program)


def _lowered(program: ExportedProgram, metadata: ArtifactMetadata, without: str) -> bytes:
    kept = [p for p in _PASSES if without not in ("everything", type(p).__name__)]
    interleaved = without not in ("everything", "interleaved pixels")
    join = _leave if without in ("everything", "join_moves") else join_moves
    with (
        mock.patch.object(passes, "_PASSES", tuple(kept)),
        rewritten_delegates(join),
        contextlib.redirect_stderr(io.StringIO()),
    ):
        optimized = passes.optimize(program, interleaved=interleaved)
        return bytes(delegate(optimized, metadata).to_executorch().buffer)


def _leave(graph: object) -> int:
    del graph
    return 0


def _tensor(meta: Any) -> torch.Tensor:
    dtype = torch.int8 if meta.dtype() == 1 else torch.float32
    return torch.randint(0, 4, meta.sizes()).to(dtype)


def onnx_variants(path: Path, preset_name: str, threads: int) -> Iterator[tuple[str, Infer]]:
    """Without each pass over the graph, loaded."""
    graph = translate(torch.export.load(path), described(preset_name, "onnx"))
    plain = serialize_model(graph)
    for without in ("nothing", "everything", *(type(each).__name__ for each in INT8_PIXEL_PASSES)):
        kept = [p for p in INT8_PIXEL_PASSES if without not in ("everything", type(p).__name__)]
        model = deserialize_model(plain)
        if kept:
            in_sequence(*kept)(model)
        yield without, _inference(model, threads)


def _inference(model: ir.Model, threads: int) -> Infer:
    content = serialize_model(model).SerializeToString()
    session = onnxruntime.InferenceSession(
        content, session_options(threads), ["CPUExecutionProvider"]
    )
    feeds = {value.name: _array(value) for value in session.get_inputs()}
    return lambda: session.run(None, feeds)


def _array(value: onnxruntime.NodeArg) -> np.ndarray:
    dtype = np.uint8 if value.type == "tensor(uint8)" else np.float32
    top = 4 if value.name == "point_labels" else 256
    drawn: np.ndarray = np.random.default_rng(0).integers(0, top, value.shape).astype(dtype)
    return drawn


VARIANTS = {"executorch": executorch_variants, "onnx": onnx_variants}


def in_turns(variants: Mapping[str, Infer], rounds: int) -> dict[str, float]:
    """Median milliseconds of each, from a few inferences in a row of each in every round."""
    taken: dict[str, list[float]] = {name: [] for name in variants}
    for _ in range(rounds):
        for name, infer in variants.items():
            taken[name] += _times(infer)
    return {name: float(np.median(times)) for name, times in taken.items()}


def _times(infer: Infer) -> list[float]:
    """Milliseconds of inferences in a row but the first."""
    time.sleep(_PAUSE)
    ends = [time.perf_counter()]
    for _ in range(_RUNS_IN_A_ROW):
        infer()
        ends.append(time.perf_counter())
    return list(1000 * np.diff(ends)[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("runtime", choices=VARIANTS)
    parser.add_argument("preset")
    parser.add_argument("--program", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=6)
    options = parser.parse_args()
    if not options.program.exists():
        save_program(options.preset, options.program)
    made = VARIANTS[options.runtime](options.program, options.preset, options.threads)
    for name, median in in_turns(dict(made), options.rounds).items():
        sys.stdout.write(f"without {name:30} {median:7.2f} ms\n")


if __name__ == "__main__":
    main()

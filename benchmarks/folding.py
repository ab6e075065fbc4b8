"""The gain by folding: latency of each preset before and after, in torch and ONNX Runtime.

    python benchmarks/folding.py --preset nano --repeats 30 --threads 2

Both networks of a pair run in turn (A B A B ...), so that a change of the machine's speed hits
both; the numbers are medians and the median of the pairwise ratios. Weights are random: they do not
change the time, except that a negative scale behind a ReLU would cost the folded network one
multiplication, so scales are drawn positive, as nearly all trained ones are.

ONNX Runtime folds Conv -> BatchNorm by itself when it loads a file. Its column therefore shows what
folding buys beyond what the runtime does alone.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from sqsam_deploy.folding import example_inputs, fold
from sqsam_deploy.model.config import PRESETS, ModelConfig
from sqsam_deploy.model.network import SqueezeSAM

Run = Callable[[], object]


@dataclass(frozen=True)
class Comparison:
    """Medians in milliseconds; `ratio` is unfolded over folded, so above 1 folding is faster."""

    preset: str
    runtime: str
    threads: int
    repeats: int
    unfolded_ms: float
    folded_ms: float
    ratio: float


def main() -> None:
    options = _options()
    torch.set_num_threads(options.threads)
    for name in options.preset or list(PRESETS):
        for comparison in compare(PRESETS[name], options.threads, options.repeats):
            print(json.dumps(asdict(comparison)) if options.json else _line(comparison), flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--preset", action="append", choices=list(PRESETS), help="may be repeated")
    parser.add_argument("--repeats", type=int, default=30, help="timed runs of each network")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    options = parser.parse_args()
    if options.repeats < 1 or options.threads < 1:
        parser.error("--repeats and --threads must be at least 1")
    return options


@torch.no_grad()
def compare(config: ModelConfig, threads: int, repeats: int) -> Iterator[Comparison]:
    """Both networks of a preset in each runtime."""
    model = _random_model(config)
    pair = _Unfolded(model).eval(), fold(model).network
    inputs = example_inputs(config)
    for runtime, prepare in (("torch", _in_torch), ("onnxruntime", _in_onnxruntime)):
        before, after = (prepare(network, inputs, threads) for network in pair)
        times = _interleaved(before, after, repeats)
        yield Comparison(
            preset=config.name,
            runtime=runtime,
            threads=threads,
            repeats=repeats,
            unfolded_ms=statistics.median(a for a, _ in times),
            folded_ms=statistics.median(b for _, b in times),
            ratio=statistics.median(a / b for a, b in times),
        )


class _Unfolded(nn.Module):
    """The original network with the folded one's inputs."""

    def __init__(self, model: SqueezeSAM) -> None:
        super().__init__()
        self.model = model
        points = model.config.max_points
        self.register_buffer("coords", torch.zeros(1, points, 2))
        self.register_buffer("labels", torch.full((1, points), -1.0))

    def forward(self, image: Tensor, prompt_maps: Tensor, *points: Tensor) -> object:
        coords, labels = points or (self.coords, self.labels)
        return self.model(image, prompt_maps, coords, labels)


def _random_model(config: ModelConfig) -> SqueezeSAM:
    torch.manual_seed(0)
    model = SqueezeSAM(config).eval()
    for norm in model.modules():
        if isinstance(norm, nn.BatchNorm2d):
            nn.init.uniform_(norm.weight, 0.5, 1.5)
            nn.init.normal_(norm.bias, std=0.2)
            assert norm.running_mean is not None and norm.running_var is not None
            nn.init.uniform_(norm.running_mean, 0.0, 0.5)
            nn.init.uniform_(norm.running_var, 0.5, 1.5)
    return model


def _in_torch(network: nn.Module, inputs: tuple[Tensor, ...], threads: int) -> Run:
    del threads  # one setting for the process, made in main
    return lambda: network(*inputs)


def _in_onnxruntime(network: nn.Module, inputs: tuple[Tensor, ...], threads: int) -> Run:
    import onnxruntime

    program = torch.export.export(network, inputs)
    onnx_program = torch.onnx.export(program, dynamo=True, verbose=False, optimize=False)
    assert onnx_program is not None
    model = onnx_program.model_proto.SerializeToString()
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(model, settings, providers=["CPUExecutionProvider"])
    names = [value.name for value in session.get_inputs()]
    feeds = {name: value.numpy() for name, value in zip(names, inputs, strict=True)}
    return lambda: session.run(None, feeds)


def _interleaved(before: Run, after: Run, repeats: int) -> list[tuple[float, float]]:
    """Milliseconds of each pair, after three runs that are not counted."""
    for _ in range(3):
        before(), after()
    return [(_milliseconds(before), _milliseconds(after)) for _ in range(repeats)]


def _milliseconds(run: Run) -> float:
    start = time.perf_counter()
    run()
    return (time.perf_counter() - start) * 1e3


def _line(c: Comparison) -> str:
    return (
        f"{c.preset:16} {c.runtime:12} unfolded {c.unfolded_ms:8.2f} ms   "
        f"folded {c.folded_ms:8.2f} ms   ratio {c.ratio:.3f}   "
        f"({c.repeats} pairs, {c.threads} threads)"
    )


if __name__ == "__main__":
    main()

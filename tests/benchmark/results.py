"""Small result files for the tests, made by hand, and a small network to measure."""

from pathlib import Path

import numpy as np
import onnx
import onnx.parser

from sqsam_deploy.benchmark.noise import concluded
from sqsam_deploy.benchmark.result import (
    BenchmarkResult,
    Device,
    Environment,
    Measurement,
    Method,
    Setup,
    Subject,
    Timing,
)

CREATED = "2026-01-02T03:04:05Z"


def rounds_around(ms: float, *, spread: float = 0.002, rounds: int = 12, seed: int = 0):
    """Rounds of five samples, log-normal around `ms`."""
    rng = np.random.default_rng(seed)
    samples = ms * np.exp(spread * rng.standard_normal((rounds, 5)))
    return tuple(tuple(float(value) for value in taken) for taken in samples)


def subject(name="nano-int8.pte", role="artifact", **changes) -> Subject:
    """An int8 ExecuTorch artifact of `nano`, unless told otherwise."""
    usual = {"runtime": "executorch", "precision": "int8", "preset": "nano", "macs": 500_000_000}
    return Subject(name=name, role=role, **{**usual, **changes})


def measurement(of: Subject, ms: float, *, threads: int | None = 2, **changes) -> Measurement:
    """Its steady state around `ms`."""
    spread, seed = changes.pop("spread", 0.002), changes.pop("seed", 0)
    rounds = rounds_around(ms, spread=spread, seed=seed)
    stages = {"inference": Timing(rounds=rounds)}
    return Measurement(subject=of, setup=Setup(threads=threads), stages=stages, **changes)


def result(*measurements: Measurement, **changes) -> BenchmarkResult:
    """A finished CPU run that holds these measurements."""
    environment = changes.pop("environment", Environment())
    usual = {
        "created": CREATED,
        "tool": "test",
        "device": Device(kind="cpu", name="Test CPU", system="Linux 6", cores=2),
        "method": Method(rounds=12, interleaved=True),
    }
    return BenchmarkResult(
        environment=environment,
        measurements=concluded(measurements, environment),
        **{**usual, **changes},
    )


def write_product(path: Path, side: int, after: str = "Identity(product)") -> Path:
    """An ONNX file: a square matrix `x` times a constant one, then what comes `after`."""
    shape = f"float[{side},{side}]"
    model = onnx.parser.parse_model(f"""
        <ir_version: 8, opset_import: ["" : 17]>
        product ({shape} x) => ({shape} y) {{
            product = MatMul (x, w)
            y = {after}
        }}""")
    weights = np.ones((side, side), np.float32)
    model.graph.initializer.append(onnx.numpy_helper.from_array(weights, "w"))
    onnx.save(model, path)
    return path

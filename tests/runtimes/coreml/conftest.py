"""A small network, lowered once a precision."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from torch.export import ExportedProgram

from sqsam_deploy._internal.upstream.torch import lean_tracing
from sqsam_deploy.artifact.metadata import PrecisionName
from sqsam_deploy.datasets import bundled_dataset
from sqsam_deploy.folding import FoldedModel, example_inputs
from sqsam_deploy.quantization import (
    CalibrationSet,
    PaletteScheme,
    build_calibration,
    export_fp16,
    export_fp32,
    palettize,
    quantize,
    trace_network,
)
from sqsam_deploy.runtimes.coreml import RUNTIME as COREML
from tests.runtimes.coreml.small_network import (
    SMALL,
    Package,
    Photo,
    metadata_of,
    real_photo,
)
from tests.tiny_network import tiny_folded


@pytest.fixture(scope="session")
def photo() -> Photo:
    return real_photo(SMALL)


@pytest.fixture(scope="session")
def folded() -> FoldedModel:
    return tiny_folded(SMALL)


@pytest.fixture(scope="session")
def program(folded: FoldedModel) -> Callable[[PrecisionName], ExportedProgram]:
    @cache
    def calibration() -> CalibrationSet:
        return build_calibration(bundled_dataset("calibration"), SMALL, size=2, seed=0)

    @cache
    def quantized() -> ExportedProgram:
        return quantize(folded, calibration()).program

    @cache
    def palettized(bits: int) -> ExportedProgram:
        network = palettize(folded.network, calibration(), PaletteScheme(bits))
        return trace_network(network, example_inputs(SMALL))

    @cache
    @lean_tracing()
    def make(precision: PrecisionName) -> ExportedProgram:
        if precision == "fp32":
            return export_fp32(folded)
        if precision.startswith("palettized"):
            return palettized(int(precision.removeprefix("palettized-").removesuffix("bit")))
        return export_fp16(folded) if precision == "fp16" else quantized()

    return make


@pytest.fixture(scope="session")
def package(
    program: Callable[[PrecisionName], ExportedProgram], tmp_path_factory: pytest.TempPathFactory
) -> Package:
    folder = tmp_path_factory.mktemp("coreml")

    @cache
    @lean_tracing()
    def make(precision: PrecisionName) -> Path:
        path = folder / f"small-{precision}.mlpackage"
        COREML.lower(program(precision), metadata_of(SMALL, precision), path)
        return path

    return make

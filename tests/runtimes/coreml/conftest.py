"""The bundled nano network, lowered once a precision."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest
from torch.export import ExportedProgram

from sqsam_deploy.artifact.metadata import PrecisionName
from sqsam_deploy.checkpoint import load_checkpoint
from sqsam_deploy.datasets import bundled_dataset
from sqsam_deploy.folding import FoldedModel, example_inputs, fold
from sqsam_deploy.model.config import NANO
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
from tests.runtimes.coreml.coreml_nano import Package, Photo, metadata_of, real_photo


@pytest.fixture(scope="session")
def photo() -> Photo:
    return real_photo(NANO)


@pytest.fixture(scope="session")
def folded() -> FoldedModel:
    return fold(load_checkpoint("nano").model)


@pytest.fixture(scope="session")
def program(folded: FoldedModel) -> Callable[[PrecisionName], ExportedProgram]:
    @cache
    def calibration() -> CalibrationSet:
        return build_calibration(bundled_dataset("calibration"), NANO, size=2, seed=0)

    @cache
    def quantized() -> ExportedProgram:
        return quantize(folded, calibration()).program

    @cache
    def palettized(bits: int) -> ExportedProgram:
        network = palettize(folded.network, calibration(), PaletteScheme(bits))
        return trace_network(network, example_inputs(NANO))

    @cache
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
    def make(precision: PrecisionName) -> Path:
        path = folder / f"nano-{precision}.mlpackage"
        COREML.lower(program(precision), metadata_of(NANO, precision), path)
        return path

    return make

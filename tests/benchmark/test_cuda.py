"""The structure of a GPU run, on the CPU: what needs a GPU is left to those who have one."""

import dataclasses

import pytest
import torch

from sqsam_deploy.benchmark.cuda.bounds import DevicePeaks, bounds_of
from sqsam_deploy.benchmark.cuda.grid import Case, cases
from sqsam_deploy.benchmark.cuda.run import CudaPlan, measure_cuda, require_gpu
from sqsam_deploy.benchmark.macs import preset_work
from sqsam_deploy.errors import MissingDependencyError, UsageError
from sqsam_deploy.model.config import PRESETS
from tests.tiny_network import TINY

CPU = torch.device("cpu")


def test_grid_has_every_mode_precision_and_batch():
    grid = cases()
    # Eager in two memory formats, the two others in one; four precisions; three batches.
    assert len(grid) == len(set(grid)) == (2 + 1 + 1) * 4 * 3
    assert {case.batch for case in grid} == {1, 8, 64}


@pytest.mark.parametrize("choice", [{"modes": ["lazy"]}, {"precisions": ["fp8"]}, {"batches": [0]}])
def test_unknown_choices_are_refused(choice):
    with pytest.raises(UsageError):
        cases(**choice)


def test_bounds_by_hand():
    """1 T products a millisecond and 1 GB/ms: the work of the preset, divided."""
    peaks = DevicePeaks({"fp16": 1e12}, 1e9)
    bounds = bounds_of("paper", Case("eager", "fp16", True, 2), peaks)
    assert bounds.arithmetic == pytest.approx(2 * 26_493_196_544 / 1e12)
    assert bounds.traffic == pytest.approx(preset_work("paper", 2).elements * 2 / 1e9)


def test_a_run_holds_every_case_and_what_failed(monkeypatch):
    monkeypatch.setitem(PRESETS, "tiny", dataclasses.replace(TINY, name="tiny"))
    chosen = cases(["eager", "cuda-graph"], ["fp32", "bf16"], [1])
    result = measure_cuda(CudaPlan("tiny", chosen, rounds=3, per_round=2), CPU)
    assert [item.subject.precision for item in result.measurements] == [
        "fp32",
        "fp32",
        "bf16",
        "bf16",
    ]
    assert all(len(item.inference.rounds) == 3 for item in result.measurements)
    assert all(item.bounds.arithmetic > 0 for item in result.measurements)
    # Graphs need a GPU, and no ONNX artifact was given to the two providers.
    assert [row.setup.split(",")[0] for row in result.not_measured] == [
        "cuda-graph",
        "cuda-graph",
        "onnx",
        "onnx",
    ]


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_no_gpu_is_said_in_a_sentence():
    with pytest.raises(MissingDependencyError, match="no CUDA GPU here"):
        require_gpu()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_all_modes_run_on_a_gpu():
    chosen = cases(batches=[1], precisions=["fp16"])
    result = measure_cuda(CudaPlan("nano", chosen, rounds=3, per_round=3), torch.device("cuda"))
    assert len(result.measurements) == len(chosen)

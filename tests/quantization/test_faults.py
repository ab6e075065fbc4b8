"""The agreement check on the int8 program of bundled weights whose scales are wrong."""

import itertools
from typing import Any

import pytest
import torch
from torch.fx import GraphModule

from sqsam_deploy.checkpoint import load_checkpoint
from sqsam_deploy.datasets import bundled_dataset
from sqsam_deploy.errors import GateError
from sqsam_deploy.folding import fold
from sqsam_deploy.model.config import NANO
from sqsam_deploy.networks.agreement import PromptComparison, make_probes
from sqsam_deploy.networks.precisions import PRECISIONS
from sqsam_deploy.prompts import Prompt, encode_prompt
from sqsam_deploy.quantization import build_calibration, quantize
from sqsam_deploy.quantization.calibration import network_inputs
from sqsam_deploy.quantization.graph import module_name
from sqsam_deploy.runtimes.session import RawPrediction
from sqsam_deploy.runtimes.torch import TorchSession

pytestmark = pytest.mark.usefixtures("traced_leanly")


class _Program:
    """An int8 program as a session, as exact as the arithmetic of its operators."""

    def __init__(self, module: GraphModule) -> None:
        self._module = module

    def run(self, image: Any, prompt: Any) -> RawPrediction:
        with torch.inference_mode():
            masks, iou = self._module(*network_inputs(image, prompt, NANO))
        return RawPrediction(masks[0].numpy(), iou[0].numpy())


@pytest.fixture(scope="module")
def comparison() -> PromptComparison:
    """The prompts of an export of `nano`."""
    checkpoint = load_checkpoint("nano")
    photos = list(itertools.islice(bundled_dataset("sample"), 4))
    return PromptComparison(make_probes(photos, TorchSession(checkpoint), NANO), images=4)


@pytest.fixture(scope="module")
def program() -> GraphModule:
    """The int8 program of `nano`; four photos are enough for good ranges."""
    calibration = build_calibration(bundled_dataset("calibration"), NANO, size=4)
    module = quantize(fold(load_checkpoint("nano").model), calibration).program.module()
    assert isinstance(module, GraphModule)
    return module


def _measure(comparison: PromptComparison, module: GraphModule) -> float:
    session: Any = _Program(module)
    limit = PRECISIONS["int8"].limit
    return comparison.measure(session, limit=limit, executor="").agreement.mean_mask_iou


def _multiply_scales(module: GraphModule, layer: str, factor: float) -> None:
    """Of the activations that a layer gives, where they are quantized and where they are read."""
    found = [
        node
        for node in module.graph.nodes
        if str(node.target).startswith("quantized_decomposed.quantize_per_tensor")
        and module_name(node.args[0]) == layer
    ]
    assert found
    readers = [reader for node in found for reader in node.users]
    for node in (*found, *readers):
        node.args = (node.args[0], node.args[1] * factor, *node.args[2:])
    module.recompile()


def test_ranges_of_four_photos_are_good_enough(
    comparison: PromptComparison, program: GraphModule
) -> None:
    assert _measure(comparison, program) > 0.95


@pytest.mark.parametrize("layer", ["encoder.stem.1", "encoder.levels.1.conv.0", "mask_head"])
def test_a_range_that_cuts_off_one_layer_is_found(
    layer: str, comparison: PromptComparison, program: GraphModule
) -> None:
    _multiply_scales(program, layer, 0.25)
    try:
        with pytest.raises(GateError, match="dB"):
            _measure(comparison, program)
    finally:
        _multiply_scales(program, layer, 4)


def test_ranges_of_prompts_that_are_all_alike_are_found(comparison: PromptComparison) -> None:
    calibration = build_calibration(bundled_dataset("calibration"), NANO, size=4)
    nothing = encode_prompt(Prompt(), (NANO.image_size, NANO.image_size), NANO)
    samples = [network_inputs(image, nothing, NANO) for image in calibration.images]
    module = quantize(fold(load_checkpoint("nano").model), samples).program.module()
    assert isinstance(module, GraphModule)
    with pytest.raises(GateError, match="dB"):
        _measure(comparison, module)

"""The presets with the most weights as int8, for both runtimes of phone processors."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.export import ExportedProgram

from sqsam_deploy._internal.upstream.torch import lean_tracing
from sqsam_deploy.checkpoint import Checkpoint, load_checkpoint
from sqsam_deploy.datasets import bundled_dataset, load_image
from sqsam_deploy.folding import fold
from sqsam_deploy.model.config import RELEASE_2023_12
from sqsam_deploy.model.network import SqueezeSAM
from sqsam_deploy.networks.segmentation import SegmentationNetwork
from sqsam_deploy.prompts import Prompt, encode_prompt, prepare_image
from sqsam_deploy.quantization import QuantizedModel, build_calibration, quantize
from sqsam_deploy.runtimes.executorch import RUNTIME as EXECUTORCH
from sqsam_deploy.runtimes.onnx import RUNTIME as ONNX
from sqsam_deploy.runtimes.torch import TorchSession
from tests.runtimes.quantized_parameters import of_onnx, of_program, of_pte, scales_by_weight

pytestmark = pytest.mark.full

RUNTIMES = {"executorch": (EXECUTORCH, "pte", of_pte), "onnx": (ONNX, "onnx", of_onnx)}
#: What the paper gives for its 12.5 million parameters, with a little room for the file's frame.
LARGEST_FILE = {"paper": 12.9e6, "release-2023-12": 10.6e6}
#: Ratio of the power of the float network's logits to that of the difference, in decibel.
LEAST_RATIO = 25.0


@dataclass(frozen=True)
class Built:
    """One preset, and the logits of the float network and of each artifact, kxpromptsxsxs."""

    name: str
    quantized: QuantizedModel
    files: dict[str, Path]
    logits: dict[str, np.ndarray]


@pytest.fixture(scope="module", params=["paper", "release-2023-12"])
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Built:
    folder = tmp_path_factory.mktemp(request.param)
    checkpoint = load_checkpoint("paper") if request.param == "paper" else _released()
    network = SegmentationNetwork(checkpoint)
    folded = fold(checkpoint.model)
    calibration = build_calibration(bundled_dataset("calibration"), checkpoint.config, size=2)
    files, logits = {}, {"float": _logits(TorchSession(checkpoint), checkpoint)}
    # As an export does, in half the time.
    with lean_tracing():
        quantized = quantize(folded, calibration)
        for name, (runtime, suffix, _) in RUNTIMES.items():
            metadata = network.describe(
                runtime=name,
                precision="int8",
                layout=runtime.layouts["int8"][0],
                deployment_target=None,
            )
            files[name] = folder / f"int8.{suffix}"
            runtime.lower(quantized.program, metadata, files[name])
    for name, (runtime, _, _) in RUNTIMES.items():
        logits[name] = _logits(runtime.open_session(files[name]), checkpoint)
    return Built(request.param, quantized, files, logits)


def _used_weights(program: ExportedProgram) -> int:
    """Weights of convolutions and linear layers that the float program computes with.

    The release's first attention sees only constant tokens, and is itself a constant there.
    """
    names = program.graph_signature.inputs_to_parameters
    kernels = {
        node.args[1].name
        for node in program.graph.nodes
        if any(kind in str(node.target) for kind in ("aten.conv", "aten.linear"))
    }
    return sum(program.state_dict[names[name]].numel() for name in kernels if name in names)


def _released() -> Checkpoint:
    """Random weights, as many as in the real one, for inputs of half its width and height."""
    torch.manual_seed(0)
    config = dataclasses.replace(RELEASE_2023_12, image_size=256)
    model = SqueezeSAM(config).eval()
    for mlp in model.mask_head.mask_mlps:
        # Logits as large as those of trained weights.
        mlp.out.weight.data *= 100
        mlp.out.bias.data *= 100
    return Checkpoint(model, config, "random", "0" * 64, {}, None)


def _logits(session, checkpoint: Checkpoint) -> np.ndarray:
    """All masks for a box and for a click on the largest object of a photo."""
    record = next(iter(bundled_dataset("sample")))
    largest = max(record.objects, key=lambda item: item.area)
    left, top, right, bottom = largest.box
    click = np.array([[(left + right) / 2, (top + bottom) / 2]], np.float32)
    image = prepare_image(load_image(record), checkpoint.config)
    prompts = (Prompt(box=largest.box), Prompt(click, np.ones(1, np.int64)))
    size = (record.height, record.width)
    encoded = [encode_prompt(prompt, size, checkpoint.config) for prompt in prompts]
    return np.stack([session.run(image, prompt).low_res_masks for prompt in encoded])


def _ratio(expected: np.ndarray, actual: np.ndarray) -> float:
    noise = np.square(expected - actual, dtype=np.float64).sum()
    return float(10 * np.log10(np.square(expected, dtype=np.float64).sum() / noise))


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_every_weight_is_in_the_file_as_int8(built: Built, runtime: str) -> None:
    read = RUNTIMES[runtime][2]
    parameters = read(built.files[runtime])
    assert {parameter.values.dtype for parameter in parameters} == {np.dtype(np.int8)}
    assert sum(parameter.values.size for parameter in parameters) >= 0.999 * _used_weights(
        built.quantized.source
    )
    assert built.files[runtime].stat().st_size <= LARGEST_FILE[built.name]
    if (built.name, runtime) == ("paper", "executorch"):  # The others order some channels anew.
        expected, actual = map(scales_by_weight, (of_program(built.quantized.program), parameters))
        assert actual.keys() == expected.keys()
        for weight, scales in expected.items():
            np.testing.assert_array_equal(actual[weight], scales)


def test_the_delegate_leaves_nothing_to_the_interpreter(built: Built) -> None:
    groups = EXECUTORCH.inspect(built.files["executorch"]).operators
    assert not [group.operators for group in groups if group.is_costly and group.total]
    assert sum(group.total for group in groups if group.title == "calls of the delegate") == 1


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_logits_are_those_of_the_float_network(built: Built, runtime: str) -> None:
    assert built.logits["float"].std() > 0.1
    assert _ratio(built.logits["float"], built.logits[runtime]) >= LEAST_RATIO


def test_both_runtimes_give_the_same_masks(built: Built) -> None:
    """Their difference is less than the cost of int8."""
    first, second = (built.logits[name] for name in RUNTIMES)
    assert _ratio(first, second) >= LEAST_RATIO + 3
    if built.name == "paper":  # Random logits cross zero everywhere.
        assert ((first > 0) == (second > 0)).mean() > 0.999

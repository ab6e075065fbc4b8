"""Artifacts that were broken on purpose must not pass the gate; the sound one must not fail it."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from sqsam_deploy.checkpoint import bundled_checkpoint, load_checkpoint
from sqsam_deploy.checkpoint.saving import save_checkpoint
from sqsam_deploy.datasets import Dataset, open_dataset
from sqsam_deploy.evaluation.parity import evaluate
from sqsam_deploy.evaluation.request import ParityRequest
from sqsam_deploy.folding import fold
from sqsam_deploy.model.config import NANO
from sqsam_deploy.model.description import describe
from sqsam_deploy.model.network import SqueezeSAM

pytestmark = pytest.mark.usefixtures("traced_leanly")

FLOAT, SOUND = "float.safetensors", "sound-int8.onnx"
BROKEN = (
    "scale-off-by-2.onnx",
    "calibrated-on-black.onnx",
    "other-weights.safetensors",
)


@pytest.fixture(scope="module")
def report(nano_export, tmp_path_factory):
    directory = tmp_path_factory.mktemp("artifacts")
    shutil.copyfile(bundled_checkpoint("nano"), directory / FLOAT)
    shutil.copyfile(nano_export / "nano-int8.onnx", directory / SOUND)
    # In the decoder: at the deepest maps such an error changes too little to see (docs/parity.md).
    _double_one_scale(directory / SOUND, directory / BROKEN[0], share=0.8)
    _quantize(_black(tmp_path_factory.mktemp("black")), directory / BROKEN[1])
    torch.manual_seed(0)
    save_checkpoint(SqueezeSAM(NANO).eval(), directory / BROKEN[2], {})
    request = ParityRequest(
        directory,
        output=directory / "report",
        reference=Path(FLOAT),
        prompts="box,3-clicks",
        count=24,
        max_drift=1.0,
        jobs=1,
    )
    return evaluate(request).report


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_artifact_fails_the_gate(report, name):
    artifact = report.artifacts[name]
    assert "failed" in {gate.outcome for gate in artifact.gates}
    assert not artifact.passed
    assert report.outcome == "failed"


def test_the_sound_one_does_not(report):
    assert "failed" not in {gate.outcome for gate in report.artifacts[SOUND].gates}
    assert report.artifacts[SOUND].agreement.low > 0.95


def _quantize(dataset: Dataset, path: Path) -> None:
    from sqsam_deploy.quantization import build_calibration, quantize
    from sqsam_deploy.runtimes.onnx import RUNTIME as ONNX

    checkpoint = load_checkpoint("nano")
    calibration = build_calibration(dataset, NANO, size=1)
    program = quantize(fold(checkpoint.model), calibration).program
    metadata = describe(
        NANO,
        runtime="onnx",
        precision="int8",
        weights_sha256=checkpoint.sha256,
    )
    ONNX.lower(program, metadata, path)


def _double_one_scale(sound: Path, broken: Path, share: float) -> None:
    """Doubles the weight scales of the convolution that stands after this share of all."""
    import onnx
    from onnx import numpy_helper

    model = onnx.load(sound)
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    kernels = [
        node
        for node in model.graph.node
        if node.op_type == "DequantizeLinear"
        and node.input[0] in stored
        and len(stored[node.input[0]].dims) == 4
    ]
    scale = stored[kernels[int(share * len(kernels))].input[1]]
    scale.CopyFrom(numpy_helper.from_array(2 * numpy_helper.to_array(scale), scale.name))
    onnx.save(model, broken)


def _black(folder: Path) -> Dataset:
    Image.fromarray(np.zeros((256, 256, 3), np.uint8)).save(folder / "black.png")
    mask = np.zeros((256, 256), np.uint8)
    mask[100:150, 100:150] = 255
    Image.fromarray(mask).save(folder / "mask.png")
    item = {"file": "mask.png", "area_frac": 0.038, "bbox_xyxy": [100, 100, 150, 150]}
    entry = {"id": "black", "image": "black.png", "width": 256, "height": 256, "objects": [item]}
    (folder / "index.json").write_text(json.dumps([entry]))
    return open_dataset(folder)

"""The saliency network's programs, lowered for each runtime and run from disk."""

import importlib.util
import itertools

import numpy as np
import pytest
import torch

from sqsam_deploy._internal.progress import SilentSteps
from sqsam_deploy.datasets import bundled_dataset, load_image
from sqsam_deploy.datasets.records import Dataset
from sqsam_deploy.errors import GateError
from sqsam_deploy.model.saliency import SaliencyConfig, SaliencyNet
from sqsam_deploy.networks.saliency import (
    SaliencyCheckpoint,
    SaliencyNetwork,
    TorchSaliency,
    fold_saliency,
    square_of,
)
from sqsam_deploy.pipeline.build import Builder, Built
from sqsam_deploy.pipeline.programs import Programs
from sqsam_deploy.pipeline.targets import Target
from sqsam_deploy.runtimes import read_metadata
from sqsam_deploy.runtimes.coreml.package import read_package
from sqsam_deploy.saliency import open_saliency
from tests.fakes import own_runtimes
from tests.limits import set_limits

pytestmark = pytest.mark.usefixtures("traced_leanly")

#: The bundled network's structure, small enough to be lowered many times.
TINY = SaliencyConfig("saliency", image_size=64, widths=(8, 12, 16, 16))

ALL = tuple(
    Target(runtime.name, precision)
    for runtime in own_runtimes()
    if importlib.util.find_spec(runtime.library.split(".")[0])
    for precision in runtime.precisions
)


@pytest.fixture(scope="module")
def photos():
    return list(itertools.islice(bundled_dataset("sample"), 3))


def _sample(record) -> torch.Tensor:
    square = square_of(load_image(record), TINY.image_size)
    return torch.tensor(square).permute(2, 0, 1)[None].float()


@pytest.fixture(scope="module")
def checkpoint(photos) -> SaliencyCheckpoint:
    """Random weights whose norms have seen photos, and a map with both signs."""
    torch.manual_seed(1)
    model = SaliencyNet(TINY)
    batch = torch.cat([_sample(record) for record in photos])
    with torch.no_grad():
        model.train()
        for _ in range(30):
            logits = model(batch)
        model.head.weight /= logits.std()
        model.head.bias -= logits.mean()
    return SaliencyCheckpoint(model.eval(), "random", "0" * 64, None)


#: Mean difference of the saliency, 0 to 1, to float32.
TOLERANCES = {"fp32": 1e-3, "fp16": 4e-3, "int8": 0.1, "int8-weights": 0.1} | {
    "palettized-6bit": 4e-3,
    "palettized-4bit": 4e-3,
}


def test_folding_changes_nothing(checkpoint, photos):
    folded, steps = fold_saliency(checkpoint.model)
    assert {step.rule for step in steps} == {"pixel scaling", "conv-bn", "conv-transpose-bn"}
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    sample = _sample(photos[0])
    with torch.no_grad():
        expected, actual = checkpoint.model(sample), folded(sample)
    assert expected.std() > 0.1
    torch.testing.assert_close(actual, expected, rtol=0, atol=2e-4)


@pytest.fixture(scope="module")
def built(checkpoint, photos, tmp_path_factory):
    staging = tmp_path_factory.mktemp("export")
    with pytest.MonkeyPatch.context() as patch:
        # Noise has no salient area that keeps its edge: the limits are for trained weights.
        set_limits(patch, {"fp16": 0.95, "int8": 0.3, "int8-weights": 0.3})
        entries = [one.entry for one in _build(checkpoint, photos, ALL, staging, SilentSteps())]
    return staging, {(e.metadata.runtime, e.metadata.precision): e for e in entries}


def _build(checkpoint, photos, targets, staging, steps) -> list[Built]:
    network = SaliencyNetwork(checkpoint)
    programs = Programs(network, Dataset("photos", tuple(photos)), seed=0)
    return Builder(network, programs, network.comparison(photos), staging).build(targets, steps)


@pytest.mark.parametrize("target", ALL, ids=lambda t: f"{t.runtime}-{t.precision}")
def test_every_artifact_gives_the_float_networks_map(built, checkpoint, photos, target):
    staging, entries = built
    entry = entries[target.runtime, target.precision]
    image = load_image(photos[1])
    expected = TorchSaliency(checkpoint.model).saliency_map(image)
    actual = open_saliency(staging / entry.path).saliency_map(image)
    mean_difference = TOLERANCES[target.precision]
    assert expected.std() > 0.05
    assert np.abs(actual - expected).mean() <= mean_difference
    assert np.corrcoef(actual.ravel(), expected.ravel())[0, 1] > 0.9


def test_artifacts_say_what_they_are(built):
    staging, entries = built
    for entry in entries.values():
        assert read_metadata(staging / entry.path) == entry.metadata
        assert entry.metadata.task == "saliency"
        assert entry.metadata.prompts is None
        assert entry.metadata.mask_size == TINY.map_size
        assert entry.path.startswith("saliency-")
        if entry.metadata.runtime == "coreml":
            shown = read_package(staging / entry.path).model.description.metadata.shortDescription
            assert "box" not in shown


def test_an_artifact_that_disagrees_is_not_built(checkpoint, photos, tmp_path, monkeypatch):
    set_limits(monkeypatch, {"fp32": 1.01})
    with pytest.raises(GateError, match=r"saliency-fp32\.onnx agrees .* under the limit of 1\.01"):
        _build(checkpoint, photos, (Target("onnx", "fp32"),), tmp_path, SilentSteps())

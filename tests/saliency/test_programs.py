"""The saliency network's programs, lowered for each runtime and run from disk."""

import itertools

import numpy as np
import pytest
import torch

from sqsam_deploy._internal.progress import SilentSteps
from sqsam_deploy.datasets import bundled_dataset, load_image
from sqsam_deploy.datasets.records import Dataset
from sqsam_deploy.errors import GateError
from sqsam_deploy.model.saliency import SaliencyConfig, SaliencyNet
from sqsam_deploy.pipeline import saliency as pipeline
from sqsam_deploy.pipeline.targets import AGREEMENT_LIMITS, PRECISIONS, Target
from sqsam_deploy.runtimes import read_metadata
from sqsam_deploy.saliency import open_saliency
from sqsam_deploy.saliency.network import SaliencyCheckpoint, TorchSaliency, square_of
from sqsam_deploy.saliency.programs import fold_saliency, saliency_sample

#: The bundled network's structure, small enough to be lowered many times.
TINY = SaliencyConfig("saliency", image_size=64, widths=(8, 12, 16, 16))

ALL = tuple(
    Target(runtime, precision)
    for runtime, precisions in PRECISIONS.items()
    for precision in precisions
)


@pytest.fixture(scope="module")
def photos():
    return list(itertools.islice(bundled_dataset("sample"), 3))


@pytest.fixture(scope="module")
def checkpoint(photos) -> SaliencyCheckpoint:
    """Random weights whose norms have seen photos, and a map with both signs."""
    torch.manual_seed(1)
    model = SaliencyNet(TINY)
    batch = torch.cat(
        [saliency_sample(square_of(load_image(r), TINY.image_size))[0] for r in photos]
    )
    with torch.no_grad():
        model.train()
        for _ in range(30):
            logits = model(batch)
        model.head.weight /= logits.std()
        model.head.bias -= logits.mean()
    return SaliencyCheckpoint(model.eval(), "random", "0" * 64, None)


#: Mean difference of the heat, 0 to 1, to float32.
TOLERANCES = {"fp32": 1e-3, "fp16": 4e-3, "int8": 0.1, "int8-weights": 0.1}


def test_folding_changes_nothing(checkpoint, photos):
    folded = fold_saliency(checkpoint.model)
    assert not any(isinstance(m, torch.nn.BatchNorm2d) for m in folded.modules())
    sample = saliency_sample(square_of(load_image(photos[0]), TINY.image_size))
    with torch.no_grad():
        expected, actual = checkpoint.model(*sample), folded(*sample)
    assert expected.std() > 0.1
    torch.testing.assert_close(actual, expected, rtol=0, atol=2e-4)


@pytest.fixture(scope="module")
def built(checkpoint, photos, tmp_path_factory):
    staging = tmp_path_factory.mktemp("export")
    with pytest.MonkeyPatch.context() as patch:
        # Noise has no salient area that keeps its edge: the limits are for trained weights.
        for precision, limit in (("fp16", 0.95), ("int8", 0.3), ("int8-weights", 0.3)):
            patch.setitem(AGREEMENT_LIMITS, precision, limit)
        calibration = Dataset("photos", tuple(photos))
        entries = pipeline.build_saliency(
            checkpoint, ALL, calibration, photos, staging, SilentSteps()
        )
    return staging, {(e.metadata.runtime, e.metadata.precision): e for e in entries}


@pytest.mark.parametrize("target", ALL, ids=lambda t: f"{t.runtime}-{t.precision}")
def test_every_artifact_gives_the_float_networks_heat(built, checkpoint, photos, target):
    staging, entries = built
    entry = entries[target.runtime, target.precision]
    image = load_image(photos[1])
    expected = TorchSaliency(checkpoint.model).saliency_map(image)
    actual = open_saliency(staging / entry.path).saliency_map(image)
    mean_difference = TOLERANCES[target.precision]
    assert expected.std() > 0.05
    assert np.abs(actual - expected).mean() <= mean_difference


def test_artifacts_say_what_they_are(built):
    staging, entries = built
    for entry in entries.values():
        assert read_metadata(staging / entry.path) == entry.metadata
        assert entry.metadata.task == "saliency"
        assert entry.metadata.prompts is None
        assert entry.metadata.mask_size == TINY.map_size
        assert entry.path.startswith("saliency-")


def test_an_artifact_that_disagrees_is_not_built(checkpoint, photos, tmp_path, monkeypatch):
    monkeypatch.setitem(AGREEMENT_LIMITS, "fp32", 1.01)
    with pytest.raises(GateError, match=r"saliency-fp32\.onnx agrees .* under the limit of 1\.01"):
        pipeline.build_saliency(
            checkpoint,
            (Target("onnx", "fp32"),),
            Dataset("photos", tuple(photos)),
            photos,
            tmp_path,
            SilentSteps(),
        )


def test_the_steps_are_as_many_as_announced(checkpoint, photos, tmp_path):
    class Counter(SilentSteps):
        count = 0

        def begin(self, what: str) -> None:
            self.count += 1

    targets, steps = (Target("onnx", "fp32"), Target("executorch", "fp32")), Counter()
    calibration = Dataset("photos", tuple(photos))
    pipeline.build_saliency(checkpoint, targets, calibration, photos, tmp_path, steps)
    assert steps.count == pipeline.saliency_step_count(targets) == 5

"""Side by side or in turn, an export is the same: its bytes, its manifest, its failures."""

import pytest
import torch

from sqsam_deploy.artifact.manifest import Manifest
from sqsam_deploy.checkpoint import Checkpoint
from sqsam_deploy.errors import GateError
from sqsam_deploy.model.saliency import SaliencyConfig, SaliencyNet
from sqsam_deploy.networks.precisions import PRECISIONS
from sqsam_deploy.networks.saliency import SaliencyCheckpoint
from sqsam_deploy.pipeline import export as module
from sqsam_deploy.pipeline.export import export, step_count
from sqsam_deploy.pipeline.request import ExportRequest
from sqsam_deploy.pipeline.targets import Target
from tests.fakes import RecordedSteps
from tests.limits import on_cores, set_limits
from tests.tiny_network import TINY, tiny_model

FLOAT = Target("onnx", "fp32")
SALIENCY = SaliencyConfig("saliency", image_size=64, widths=(8, 8, 8, 8))


@pytest.fixture(scope="module", autouse=True)
def small_networks():
    """Random networks of no preset in place of the bundled ones: an export in seconds.

    No file can hold them, so their loading is replaced; their agreement is not what is tested.
    """
    torch.manual_seed(2)
    segmentation = Checkpoint(tiny_model(), TINY, "tiny", "1" * 64, {}, None)
    saliency = SaliencyCheckpoint(SaliencyNet(SALIENCY).eval(), "random", "2" * 64, None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "load_checkpoint", lambda path: segmentation)
        patch.setattr(module, "load_saliency", lambda: saliency)
        set_limits(patch, dict.fromkeys(PRECISIONS, 0.0))
        yield


def _export(request: ExportRequest, count: int) -> Manifest:
    steps = RecordedSteps()
    with on_cores(count):
        manifest = export(request, steps)
    assert len(steps.begun) == step_count(request)
    return manifest


def test_side_by_side_or_in_turn_the_manifest_is_the_same(tmp_path):
    """`test_chain.py` holds it of int8 and of three runtimes, and of any number of threads."""
    first, again = (
        _export(ExportRequest((FLOAT,), tmp_path / str(count), with_saliency=True), count)
        for count in (1, 2)
    )
    # The saliency network's comes first, side by side.
    assert [entry.path for entry in again.artifacts] == ["nano-fp32.onnx", "saliency-fp32.onnx"]
    assert _without_measurements(again) == _without_measurements(first)


def _without_measurements(manifest: Manifest) -> Manifest:
    # In float, their last digit depends on the threads; and somebody may commit in between.
    entries = (entry.model_copy(update={"agreement": None}) for entry in manifest.artifacts)
    return manifest.model_copy(update={"artifacts": tuple(entries), "git_revision": None})


@pytest.mark.parametrize("count", [1, 2])
def test_a_failed_gate_leaves_nothing(tmp_path, monkeypatch, count):
    set_limits(monkeypatch, {"fp32": 1.5})
    with pytest.raises(GateError, match=r"^nano-fp32\.onnx agrees .* under the limit of 1\.5"):
        _export(ExportRequest((FLOAT,), tmp_path / "out", with_saliency=False), count)
    assert list(tmp_path.iterdir()) == []

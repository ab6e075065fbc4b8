"""Side by side or in turn, an export is the same: its bytes, its manifest, its failures."""

import hashlib
from pathlib import Path

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
from sqsam_deploy.pipeline.reproducibility import same_layers
from sqsam_deploy.pipeline.request import ExportRequest
from sqsam_deploy.pipeline.targets import Target
from tests.fakes import RecordedSteps
from tests.limits import on_cores, set_limits
from tests.tiny_network import TINY, tiny_model

TARGETS = (Target("coreml", "int8"), Target("onnx", "int8"), Target("executorch", "int8"))
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


def _export(request: ExportRequest, count: int, threads: int = 1) -> Manifest:
    steps, before = RecordedSteps(), torch.get_num_threads()
    torch.set_num_threads(threads)
    with on_cores(count):
        manifest = export(request, steps)
    torch.set_num_threads(before)
    assert len(steps.begun) == step_count(request)
    return manifest


@pytest.fixture(scope="module")
def in_turn(tmp_path_factory) -> tuple[Path, Manifest]:
    output = tmp_path_factory.mktemp("exports") / "in-turn"
    return output, _export(ExportRequest(TARGETS, output, with_saliency=True), 1)


def _hashes(directory: Path) -> dict[str, str]:
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in directory.rglob("*")
        if path.is_file()
    }


def test_any_number_of_processes_and_threads_gives_the_same_bytes(in_turn, tmp_path):
    output, manifest = in_turn
    actual = _export(ExportRequest(TARGETS, tmp_path / "out", with_saliency=True), 2, threads=3)
    expected = [target.file_name("nano") for target in TARGETS]
    expected += [target.file_name("saliency") for target in TARGETS]
    assert [entry.path for entry in actual.artifacts] == expected
    assert _without_measurements(actual) == _without_measurements(manifest)
    hashes, again = _hashes(output), _hashes(tmp_path / "out")
    # Measurements in float can differ in their last digit: the agreement's, and the layers'.
    for name in ("manifest.json", "quantization.json"):
        del hashes[name], again[name]
    layers = (folder / "quantization.json" for folder in (output, tmp_path / "out"))
    assert same_layers(*(path.read_bytes() for path in layers))
    assert again == hashes


def _without_measurements(manifest: Manifest) -> Manifest:
    entries = [entry.model_copy(update={"agreement": None}) for entry in manifest.artifacts]
    # Somebody may commit between the two exports.
    changed = {"artifacts": tuple(entries), "git_revision": None, "extra_files": ()}
    return manifest.model_copy(update=changed)


@pytest.mark.parametrize("count", [1, 2])
def test_a_failed_gate_leaves_nothing(tmp_path, monkeypatch, count):
    set_limits(monkeypatch, {"fp32": 1.5})
    with pytest.raises(GateError, match=r"^nano-fp32\.onnx agrees .* under the limit of 1\.5"):
        _export(
            ExportRequest((Target("onnx", "fp32"),), tmp_path / "out", with_saliency=False), count
        )
    assert list(tmp_path.iterdir()) == []

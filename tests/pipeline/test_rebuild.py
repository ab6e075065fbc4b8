from pathlib import Path

import pytest

from sqsam_deploy.artifact.manifest import (
    ArtifactEntry,
    BuildEntry,
    CalibrationEntry,
    Manifest,
    WeightsEntry,
    read_manifest,
)
from sqsam_deploy.checkpoint import load_checkpoint
from sqsam_deploy.errors import ArtifactError, CheckpointError, UsageError
from sqsam_deploy.pipeline.rebuild import RebuildSource, checked_request, request_of
from tests.release.export_builder import ExportBuilder

OUT = Path("again")


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Four artifacts: three for ExecuTorch and ONNX, one for Core ML."""
    written = read_manifest(ExportBuilder()(tmp_path / "export"))
    return written.model_copy(update={"artifacts": tuple(map(_built, written.artifacts))})


def _built(entry: ArtifactEntry) -> ArtifactEntry:
    layout = "image" if entry.metadata.runtime == "coreml" else "nchw-float32"
    return entry.model_copy(update={"build": BuildEntry(input_layout=layout)})


def _changed(manifest: Manifest, path: str, **fields: object) -> Manifest:
    entries = (e.model_copy(update=fields) if e.path == path else e for e in manifest.artifacts)
    return manifest.model_copy(update={"artifacts": tuple(entries)})


def test_the_request_names_the_artifacts_of_the_manifest(manifest: Manifest) -> None:
    build = BuildEntry(input_layout="nchw-float32", keep_float=("a.*",), name="special")
    changed = _changed(manifest, "nano-int8.onnx", build=build)
    request = request_of(changed, RebuildSource(), OUT)
    assert [target.file_name("nano") for target in request.targets] == [
        "nano-int8.pte",
        "nano-fp32.pte",
        "nano-special.onnx",
        "nano-int8.mlpackage",
    ]
    assert request.targets[2].keep_float == ("a.*",)
    assert not request.with_saliency


def test_the_deployment_target_is_the_artifacts_own(manifest: Manifest) -> None:
    (entry,) = (e for e in manifest.artifacts if e.metadata.runtime == "coreml")
    metadata = entry.metadata.model_copy(update={"deployment_target": "iOS18"})
    changed = _changed(manifest, entry.path, metadata=metadata)
    assert request_of(changed, RebuildSource(), OUT).targets[3].lowest_ios == "iOS18"


def test_the_options_are_the_artifacts_own(manifest: Manifest) -> None:
    (entry,) = (e for e in manifest.artifacts if e.metadata.runtime == "coreml")
    chosen = {"weight_encoding": "unsigned"}
    metadata = entry.metadata.model_copy(update={"options": chosen})
    changed = _changed(manifest, entry.path, metadata=metadata)
    assert request_of(changed, RebuildSource(), OUT).targets[3].all_options == chosen


def test_calibration_recipe_and_saliency_are_the_manifests(manifest: Manifest) -> None:
    drawn = CalibrationEntry(source="x", images=7, samples=14, seed=3, images_sha256="0")
    metadata = manifest.artifacts[0].metadata.model_copy(update={"task": "saliency"})
    changed = manifest.model_copy(update={"calibration": drawn, "recipe": "mine"})
    changed = _changed(changed, "nano-int8.pte", metadata=metadata, build=None)
    request = request_of(changed, RebuildSource(), OUT)
    assert (request.calibration_size, request.seed, request.recipe) == (7, 3, "mine")
    assert request.with_saliency
    assert len(request.targets) == 3


def test_a_manifest_from_before_recipes_is_refused(manifest: Manifest) -> None:
    changed = _changed(manifest, "nano-fp32.pte", build=None)
    with pytest.raises(ArtifactError, match=r"does not say how nano-fp32\.pte was built"):
        request_of(changed, RebuildSource(), OUT)


def test_an_artifact_that_this_version_cannot_build_is_refused(manifest: Manifest) -> None:
    changed = _changed(manifest, "nano-int8.pte", build=BuildEntry(input_layout="image"))
    with pytest.raises(ArtifactError, match=r"nano-int8\.pte cannot be built again: int8 of exec"):
        request_of(changed, RebuildSource(), OUT)


def test_a_manifest_without_a_segmentation_network_is_refused(manifest: Manifest) -> None:
    with pytest.raises(ArtifactError, match="lists no segmentation artifact"):
        request_of(manifest.model_copy(update={"artifacts": ()}), RebuildSource(), OUT)


def _refusal(manifest: Manifest, folder: Path) -> str:
    with pytest.raises((UsageError, CheckpointError)) as raised:
        checked_request(manifest, RebuildSource(), folder / "again")
    assert not (folder / "again").exists()
    return str(raised.value)


def test_other_weights_are_refused(manifest: Manifest, tmp_path: Path) -> None:
    message = _refusal(manifest, tmp_path)
    assert "made from nano.safetensors (SHA-256" in message
    assert f"nano is another file ({load_checkpoint('nano').sha256[:12]}...)" in message
    assert message.endswith("name the right one with --checkpoint")


def test_other_calibration_photos_are_refused(manifest: Manifest, tmp_path: Path) -> None:
    weights = WeightsEntry(name="nano.safetensors", sha256=load_checkpoint("nano").sha256)
    drawn = CalibrationEntry(source="mine", images=2, samples=4, seed=0, images_sha256="ab" * 32)
    changed = manifest.model_copy(update={"weights": weights, "calibration": drawn})
    message = _refusal(changed, tmp_path)
    assert "calibrated on 2 images of 'mine' (SHA-256 abababababab...)" in message
    assert "the bundled set gives 2 images of 'calibration'" in message

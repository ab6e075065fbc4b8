from pathlib import Path

import numpy as np
import pytest

from sqsam_deploy.artifact.manifest import read_manifest, write_manifest
from sqsam_deploy.artifact.metadata import TensorSpec
from sqsam_deploy.benchmark.phones.plan import PhonePlan, PlanRequest, write_bundle
from sqsam_deploy.benchmark.photos import load_photos
from sqsam_deploy.errors import ArtifactError, UsageError
from tests.release.export_builder import ExportBuilder, keep_artifacts


def test_bundle_holds_what_runs_on_a_phone_and_says_what_does_not(
    export: Path, tmp_path: Path
) -> None:
    plan, left_out = write_bundle(PlanRequest([export], "iPhone 15 Pro"), tmp_path)
    assert {artifact.name: artifact.compute for artifact in plan.artifacts} == {
        "nano-int8.pte": ("cpu",),
        "nano-fp32.pte": ("cpu",),
        "nano-int8.mlpackage": ("all", "cpuAndNeuralEngine", "cpuOnly"),
    }
    assert [(row.subject, row.reason) for row in left_out] == [
        ("nano-int8.onnx", "the app does not run onnx")
    ]
    assert plan.turns == 12 * 5
    assert PhonePlan.model_validate_json((tmp_path / "plan.json").read_bytes()) == plan
    for artifact in plan.artifacts:
        copied, original = tmp_path / artifact.name, export / artifact.name
        assert copied.is_dir() == original.is_dir()
        files = [copied] if copied.is_file() else [p for p in copied.rglob("*") if p.is_file()]
        assert sum(path.stat().st_size for path in files) == artifact.bytes


def test_inputs_are_the_tensors_that_the_artifact_declares(export: Path, tmp_path: Path) -> None:
    plan, _ = write_bundle(PlanRequest([export], photos=2), tmp_path)
    artifact = plan.artifacts[0]
    assert len(artifact.feeds) == 2
    for photo, paths in zip(load_photos(2), artifact.feeds, strict=True):
        values = {
            spec.name: np.fromfile(tmp_path / path, spec.dtype).reshape(spec.shape)
            for spec, path in zip(artifact.inputs, paths, strict=True)
        }
        # A stretched photo keeps its mean color, up to the weights of its borders.
        color = photo.image.reshape(-1, 3).mean(0)
        assert values["image"][0].mean((1, 2)) == pytest.approx(color, abs=3)
        assert set(np.unique(values["prompt_maps"])) == {0, 255}


def test_image_input_is_interleaved_bytes(tmp_path: Path) -> None:
    """The input that the app turns into a pixel buffer."""
    export = ExportBuilder()(tmp_path / "export")
    manifest = read_manifest(export)
    size = manifest.artifacts[0].metadata.image_size
    image = TensorSpec(name="image", dtype="uint8", shape=(1, size, size, 3), layout="image")
    artifacts = [
        entry.model_copy(
            update={
                "metadata": entry.metadata.model_copy(
                    update={"inputs": (image, *entry.metadata.inputs[1:])}
                )
            }
        )
        for entry in manifest.artifacts
    ]
    write_manifest(export, manifest.model_copy(update={"artifacts": tuple(artifacts)}))
    (tmp_path / "bundle").mkdir()
    plan, _ = write_bundle(PlanRequest([export], photos=1), tmp_path / "bundle")
    [paths] = plan.artifacts[0].feeds
    assert plan.artifacts[0].inputs[0].layout == "image"
    pixels = np.fromfile(tmp_path / "bundle" / paths[0], np.uint8).reshape(size, size, 3)
    color = load_photos(1)[0].image.reshape(-1, 3).mean(0)
    assert pixels.mean((0, 1)) == pytest.approx(color, abs=3)


def test_artifacts_share_inputs(export: Path, tmp_path: Path) -> None:
    plan, _ = write_bundle(PlanRequest([export], photos=2), tmp_path)
    named = {path for artifact in plan.artifacts for paths in artifact.feeds for path in paths}
    stored = {path.relative_to(tmp_path).as_posix() for path in (tmp_path / "inputs").iterdir()}
    assert named == stored
    assert len(named) == 2 * len(plan.artifacts[0].inputs)


def test_damaged_artifact_is_not_measured(tmp_path: Path) -> None:
    export = ExportBuilder()(tmp_path / "export")
    (export / "nano-int8.pte").write_bytes(b"x")
    with pytest.raises(ArtifactError, match=r"nano-int8\.pte has 1 bytes"):
        write_bundle(PlanRequest([export]), tmp_path)


def test_nothing_to_run_on_a_phone_is_said(tmp_path: Path) -> None:
    export = ExportBuilder()(tmp_path / "export")
    keep_artifacts(export, lambda path: path.endswith(".onnx"))
    with pytest.raises(UsageError, match="none of the artifacts runs on an iPhone"):
        write_bundle(PlanRequest([export]), tmp_path)
    with pytest.raises(UsageError, match="two artifacts are called"):
        other = ExportBuilder()(tmp_path / "other")
        write_bundle(PlanRequest([other, other]), tmp_path)

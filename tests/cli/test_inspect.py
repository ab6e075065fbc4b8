import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest
import torch

from sqsam_deploy.checkpoint import save_checkpoint
from sqsam_deploy.cli import inspect as command
from sqsam_deploy.errors import ArtifactError, CheckpointError
from sqsam_deploy.model.config import NANO
from sqsam_deploy.model.network import SqueezeSAM
from tests.commands import run_command
from tests.fakes import AGREEMENT, entry, write_export


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "tiny.safetensors"
    torch.manual_seed(0)
    save_checkpoint(SqueezeSAM(NANO), path, {"license": "CC0-1.0", "note": "[red]\x1b[31mx"})
    return path


@pytest.fixture
def export(tmp_path: Path) -> Path:
    artifact = tmp_path / "nano-int8.onnx"
    artifact.write_bytes(b"x" * 20_000)
    agreement = AGREEMENT.model_copy(update={"mean_mask_iou": 0.9876})
    changed = {"agreement": agreement, "minimum_runtime": "onnxruntime 1.22"}
    return write_export(tmp_path, entry(tmp_path, artifact.name, "onnx").model_copy(update=changed))


def _output(path: Path) -> str:
    done = run_command("inspect", path)
    assert done.code == 0, done.stderr
    return done.stdout


def _facts(path: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads(run_command("inspect", path, "--json").stdout)["result"]
    return facts


def test_checkpoint_shows_network_file_and_folding(weights: Path) -> None:
    text = _output(weights)
    for fact in ("nano", "safetensors, own key names", "float32", "license", "CC0-1.0"):
        assert fact in text
    lines = [line.split() for line in text.splitlines()]
    norm = "encoder.stem.0.norm"
    assert [norm, "conv-bn", "encoder.stem.0.conv"] in lines
    assert ["decoder.levels.0.up.norm", "conv-transpose-bn", "decoder.levels.0.up.conv"] in lines


def test_plain_output_has_no_escape_codes_even_from_metadata(weights: Path) -> None:
    text = _output(weights)
    assert "\x1b" not in text
    assert r"[red]\x1b[31mx" in text


def test_lines_of_a_log_end_with_their_text(weights: Path) -> None:
    assert not [line for line in _output(weights).splitlines() if line.endswith(" ")]


def test_json_of_a_checkpoint_counts_what_the_file_holds(weights: Path) -> None:
    facts = _facts(weights)
    assert facts["kind"] == "checkpoint"
    assert facts["bytes"] == weights.stat().st_size
    assert facts["tensors"] == len(SqueezeSAM(NANO).state_dict())
    assert facts["parameters"] == sum(p.numel() for p in SqueezeSAM(NANO).parameters())
    # 16 encoder and 14 decoder blocks, 7 upsamplings, the patch embedding.
    folded = [step for step in facts["folding"] if step["rule"] in ("conv-bn", "conv-transpose-bn")]
    assert len(folded) == 16 + 14 + 7 + 1


@pytest.mark.parametrize("name", ["", "manifest.json"])
def test_export_directory_lists_artifacts(name: str, export: Path) -> None:
    text = _output(export / name)
    for fact in ("nano-int8.onnx", "0.02 MB", "0.9876 (limit 0.95)", "onnxruntime 1.22"):
        assert fact in text
    assert "1x2x256x256" in text
    facts = _facts(export / name)
    assert facts["manifest"]["artifacts"][0]["agreement"]["mean_mask_iou"] == 0.9876


def test_artifact_shows_embedded_metadata_and_recorded_agreement(
    export: Path, tiny_artifact: Callable[[str], Path]
) -> None:
    shutil.copyfile(tiny_artifact("tiny-int8.onnx"), export / "nano-int8.onnx")
    text = _output(export / "nano-int8.onnx")
    for fact in ("onnx, int8", "1" * 64, "clicks-box", "point_coords", "1x8x2", "0.9876"):
        assert fact in text


def test_unusable_files_are_one_error(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="does not exist"):
        command.inspect(tmp_path / "absent.pt")
    with pytest.raises(ArtifactError, match=r"has no manifest\.json"):
        command.inspect(tmp_path)


def test_command_line_exits_3_with_one_line(tmp_path: Path) -> None:
    path = tmp_path / "weights.pt"
    path.write_bytes(b"")
    done = run_command("inspect", path)
    assert done.code == 3
    assert done.stderr.strip() == f"error: {path} is empty (0 bytes): copy or download it again"


def test_device_lists_libraries_and_rules_of_one_artifact(
    tiny_artifact: Callable[[str], Path],
) -> None:
    path = tiny_artifact("tiny-fp16.pte")
    done = run_command("inspect", "--device", path, "--json")
    assert done.code == 0
    facts = json.loads(done.stdout)["result"]
    assert facts["kind"] == "device"
    (artifact,) = facts["artifacts"]
    assert "kernels_optimized" in artifact["requirements"]["swift"][0]["products"]
    assert {check["rule"]["key"] for check in artifact["checks"]} == {"kernels", "backends"}
    text = run_command("inspect", "--device", path).stdout
    for fact in ("backend_xnnpack", "org.pytorch:executorch-android", "kernels", "warning"):
        assert fact in text


def test_device_takes_an_export_and_nothing_else(
    tiny_artifact: Callable[[str], Path], tmp_path: Path, weights: Path
) -> None:
    for name in ("tiny-int8.pte", "tiny-fp32.onnx"):
        shutil.copy(tiny_artifact(name), tmp_path / name)
    runtimes = {"tiny-int8.pte": "executorch", "tiny-fp32.onnx": "onnx"}
    write_export(tmp_path, *(entry(tmp_path, name, runtime) for name, runtime in runtimes.items()))
    facts = json.loads(run_command("inspect", "--device", tmp_path, "--json").stdout)["result"]
    assert [Path(each["path"]).name for each in facts["artifacts"]] == list(runtimes)
    assert run_command("inspect", "--device", weights).code == 2


def test_device_ends_with_1_for_an_artifact_that_cannot_work(
    tiny_artifact: Callable[[str], Path], tmp_path: Path
) -> None:
    model = onnx.load(tiny_artifact("tiny-fp32.onnx"))
    model.opset_import[0].version = 23
    onnx.save(model, tmp_path / "newer.onnx")
    assert run_command("inspect", "--device", tmp_path / "newer.onnx").code == 1

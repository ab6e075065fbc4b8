"""Damaged packages: one sentence that names what is wrong, never a traceback."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sqsam_deploy.errors import ArtifactError
from sqsam_deploy.runtimes.coreml import RUNTIME as COREML
from sqsam_deploy.runtimes.coreml.package import read_package
from tests.runtimes.coreml.small_network import Package

MODEL = "Data/com.apple.CoreML/model.mlmodel"
WEIGHTS = "Data/com.apple.CoreML/weights/weight.bin"


def truncate(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])


def point_elsewhere(path: Path) -> None:
    manifest = json.loads((path / "Manifest.json").read_text())
    for entry in manifest["itemInfoEntries"].values():
        entry["path"] = "../../" + entry["path"]
    (path / "Manifest.json").write_text(json.dumps(manifest))


def rename_operator(path: Path) -> None:
    model = read_package(path).model
    (block,) = model.mlProgram.functions["main"].block_specializations.values()
    next(o for o in block.operations if o.type == "relu").type = "einsum_of_mars"
    (path / MODEL).write_bytes(model.SerializeToString())


def drop_metadata(path: Path) -> None:
    model = read_package(path).model
    model.description.metadata.userDefined.clear()
    (path / MODEL).write_bytes(model.SerializeToString())


def spoil_metadata(path: Path) -> None:
    model = read_package(path).model
    model.description.metadata.userDefined["sqsam"] = '{"format_version": 99}'
    (path / MODEL).write_bytes(model.SerializeToString())


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "no manifest": (lambda p: (p / "Manifest.json").unlink(), "Manifest.json"),
    "broken manifest": (lambda p: truncate(p / "Manifest.json"), "Manifest.json"),
    "manifest leads outside": (point_elsewhere, "Manifest.json"),
    "no model": (lambda p: (p / MODEL).unlink(), "model.mlmodel is missing"),
    "truncated model": (lambda p: truncate(p / MODEL), "model.mlmodel"),
    "empty model": (lambda p: (p / MODEL).write_bytes(b""), "no ML Program"),
    "no weights": (lambda p: (p / WEIGHTS).unlink(), "weight.bin is missing"),
    "truncated weights": (lambda p: truncate(p / WEIGHTS), "weight.bin is truncated"),
    "unknown operator": (rename_operator, "'einsum_of_mars'"),
    "foreign package": (drop_metadata, "not written by sqsam-export"),
    "metadata of another version": (spoil_metadata, "format_version"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_package_is_refused_in_one_sentence(
    damage: str, package: Package, tmp_path: Path
) -> None:
    path = tmp_path / "damaged.mlpackage"
    shutil.copytree(package("fp32"), path)
    spoil, expected = DAMAGES[damage]
    spoil(path)
    with pytest.raises(ArtifactError, match=expected) as raised:
        COREML.open_session(path)
    assert "\n" not in str(raised.value)


def test_a_file_is_no_package(tmp_path: Path) -> None:
    path = tmp_path / "file.mlpackage"
    path.write_bytes(b"no directory")
    with pytest.raises(ArtifactError, match="not a Core ML package"):
        COREML.read_metadata(path)


def test_a_failed_write_leaves_the_old_package(package: Package, tmp_path: Path) -> None:
    from sqsam_deploy.runtimes.coreml.package import write_package

    path = tmp_path / "kept.mlpackage"
    shutil.copytree(package("fp32"), path)
    before = (path / MODEL).read_bytes()
    with pytest.raises(FileNotFoundError):
        write_package(read_package(path).model, tmp_path / "no-weights.bin", path)
    assert (path / MODEL).read_bytes() == before
    assert [item.name for item in tmp_path.iterdir()] == [path.name]

from pathlib import Path

import pytest
import torch

from sqsam_deploy.artifact.files import file_entries, hash_file
from sqsam_deploy.artifact.manifest import (
    ArtifactEntry,
    WeightsEntry,
)
from sqsam_deploy.checkpoint import bundled_checkpoint
from sqsam_deploy.checkpoint.saving import save_checkpoint
from sqsam_deploy.errors import UsageError
from sqsam_deploy.evaluation.discovery import artifact_sha256, find_artifacts
from sqsam_deploy.evaluation.plan import Loaded, assign_references
from sqsam_deploy.model.config import NANO, PAPER
from sqsam_deploy.model.description import describe
from sqsam_deploy.model.network import SqueezeSAM
from tests import fakes


def _loaded(tmp_path, name, runtime, precision, config=NANO) -> Loaded:
    metadata = describe(config, runtime=runtime, precision=precision, weights_sha256="0" * 64)
    return Loaded(name, tmp_path / name, "0" * 64, metadata)


@pytest.mark.parametrize("package", [False, True])
def test_the_hash_is_that_of_the_manifest(tmp_path, package):
    path = tmp_path / "nano.mlpackage"
    if package:
        (path / "Data").mkdir(parents=True)
        (path / "Manifest.json").write_text("{}")
        (path / "Data" / "weights.bin").write_bytes(b"123")
    else:
        path.write_bytes(b"123")
    metadata = describe(NANO, runtime="coreml", precision="int8", weights_sha256="0" * 64)
    entry = ArtifactEntry(
        path=path.name,
        files=file_entries(tmp_path, [path]),
        metadata=metadata,
        agreement=fakes.AGREEMENT,
        minimum_runtime="iOS 17",
    )
    assert artifact_sha256(path) == entry.sha256


def test_a_directory_without_a_manifest_is_searched_by_suffix(tmp_path):
    torch.manual_seed(0)
    save_checkpoint(SqueezeSAM(NANO).eval(), tmp_path / "float.safetensors", {})
    (tmp_path / "notes.txt").touch()
    (item,) = find_artifacts(tmp_path)
    assert (item.name, item.metadata.preset, item.metadata.runtime) == (
        "float.safetensors",
        "nano",
        "torch",
    )


def test_what_is_not_there_is_named(tmp_path):
    with pytest.raises(UsageError, match="is not a directory"):
        find_artifacts(tmp_path / "none")
    with pytest.raises(UsageError, match=r"\.pte.*sqsam-export"):
        find_artifacts(tmp_path)


def test_the_network_itself_is_the_reference_then_the_runtimes_in_order(tmp_path):
    onnx, pte = (
        _loaded(tmp_path, "f.onnx", "onnx", "fp32"),
        _loaded(tmp_path, "f.pte", "executorch", "fp32"),
    )
    int8 = _loaded(tmp_path, "q.onnx", "onnx", "int8")
    network = _loaded(tmp_path, "w.safetensors", "torch", "fp32")
    assert assign_references([int8, onnx, pte], None)[0].name == "f.pte"
    assert assign_references([int8, onnx, pte, network], None)[0].name == "w.safetensors"
    assert assign_references([int8, onnx, pte], "f.onnx")[0].name == "f.onnx"


def test_siblings_have_the_same_precision(tmp_path):
    names = {"f.pte": ("executorch", "fp32"), "q.pte": ("executorch", "int8")}
    names |= {"q.onnx": ("onnx", "int8"), "f.onnx": ("onnx", "fp32")}
    loaded = [_loaded(tmp_path, name, *kind) for name, kind in names.items()]
    siblings = {a.name: a.sibling for a in assign_references(loaded, None)}
    assert siblings == {"f.pte": "f.pte", "f.onnx": "f.pte", "q.pte": "q.pte", "q.onnx": "q.pte"}


def test_each_preset_has_its_own_reference(tmp_path):
    loaded = [
        _loaded(tmp_path, "n8.pte", "executorch", "int8"),
        _loaded(tmp_path, "n.pte", "executorch", "fp32"),
        _loaded(tmp_path, "p8.pte", "executorch", "int8", PAPER),
        _loaded(tmp_path, "p.pte", "executorch", "fp32", PAPER),
    ]
    references = {a.name: a.reference for a in assign_references(loaded, None)}
    assert references == {"n8.pte": "n.pte", "n.pte": "n.pte", "p8.pte": "p.pte", "p.pte": "p.pte"}
    with pytest.raises(UsageError, match="not of preset 'paper'"):
        assign_references(loaded, "n.pte")


def test_without_a_float_artifact_one_is_asked_for(tmp_path):
    with pytest.raises(UsageError, match="--reference"):
        assign_references([_loaded(tmp_path, "q.pte", "executorch", "int8")], None)


def _export(directory: Path, weights: Path) -> Path:
    """A directory with one int8 artifact and the manifest of it."""
    directory.mkdir()
    (directory / "q.onnx").write_bytes(b"int8")
    sha256 = hash_file(weights)
    entry = fakes.entry(directory, "q.onnx", "onnx", sha256)
    named = WeightsEntry(name=weights.name, sha256=sha256)
    return fakes.write_export(directory, entry, weights=named)


def test_the_bundled_weights_of_an_int8_export_are_its_reference(tmp_path):
    directory = _export(tmp_path / "artifacts", bundled_checkpoint("nano"))
    reference, int8 = find_artifacts(directory)
    assert (reference.path, reference.metadata.runtime) == (bundled_checkpoint("nano"), "torch")
    assert int8.reference == reference.name


@pytest.mark.parametrize("place", ["artifacts", ".", "elsewhere"])
def test_weights_of_one_s_own_are_found_where_they_lie(tmp_path, monkeypatch, place):
    torch.manual_seed(0)
    save_checkpoint(SqueezeSAM(NANO).eval(), tmp_path / "my.safetensors", {})
    directory = _export(tmp_path / "artifacts", tmp_path / "my.safetensors")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    (tmp_path / "my.safetensors").rename(tmp_path / place / "my.safetensors")
    reference, _ = find_artifacts(directory)
    assert reference.sha256 == hash_file(tmp_path / place / "my.safetensors")


def test_other_weights_of_that_name_are_not_taken_unless_named(tmp_path, monkeypatch):
    (tmp_path / "my.safetensors").write_bytes(b"those that were exported")
    directory = _export(tmp_path / "artifacts", tmp_path / "my.safetensors")
    wanted = hash_file(tmp_path / "my.safetensors")
    save_checkpoint(SqueezeSAM(NANO).eval(), tmp_path / "my.safetensors", {})
    with pytest.raises(UsageError, match=f"{wanted}.*--reference"):
        find_artifacts(directory)
    reference, _ = find_artifacts(directory, reference=tmp_path / "my.safetensors")
    assert reference.path == tmp_path / "my.safetensors"


def test_the_reference_may_be_named_by_its_path_in_the_directory(tmp_path):
    directory = _export(tmp_path / "artifacts", bundled_checkpoint("nano"))
    save_checkpoint(SqueezeSAM(NANO).eval(), directory / "float.safetensors", {})
    (directory / "manifest.json").unlink()
    (directory / "q.onnx").unlink()
    (item,) = find_artifacts(directory, reference=directory / "float.safetensors")
    assert item.path == directory / "float.safetensors"
    save_checkpoint(SqueezeSAM(NANO).eval(), tmp_path / "float.safetensors", {})
    with pytest.raises(UsageError, match="same name"):
        find_artifacts(directory, reference=tmp_path / "float.safetensors")


def test_a_namesake_that_is_not_compared_is_not_in_the_references_way(tmp_path):
    (tmp_path / "artifacts").mkdir()
    for name in ("artifacts/float", "artifacts/other", "float"):
        save_checkpoint(SqueezeSAM(NANO).eval(), tmp_path / f"{name}.safetensors", {})
    reference, compared = find_artifacts(
        tmp_path / "artifacts", ["other.safetensors"], tmp_path / "float.safetensors"
    )
    assert (reference.path, compared.name) == (tmp_path / "float.safetensors", "other.safetensors")

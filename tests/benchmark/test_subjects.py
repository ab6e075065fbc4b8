import json
import sys

import pytest

from sqsam_deploy.benchmark.jobs import Job
from sqsam_deploy.benchmark.runners import make_runner
from sqsam_deploy.benchmark.subjects import (
    PEERS_NAME,
    artifact_targets,
    exported_peer_targets,
    network_target,
    peer_targets,
)
from sqsam_deploy.errors import ArtifactError
from tests import fakes
from tests.peers.exported import sam


@pytest.fixture
def directory(tmp_path):
    """A manifest with an ONNX file and a Core ML package, of arbitrary bytes."""
    (tmp_path / "nano-int8.onnx").write_bytes(b"onnx")
    (tmp_path / "nano-int8.mlpackage").mkdir()
    (tmp_path / "nano-int8.mlpackage" / "Manifest.json").write_bytes(b"{}")
    entries = (
        fakes.entry(tmp_path, "nano-int8.onnx", "onnx"),
        fakes.entry(tmp_path, "nano-int8.mlpackage", "coreml"),
    )
    return fakes.write_export(tmp_path, *entries)


@pytest.mark.skipif(sys.platform == "darwin", reason="Core ML runs on macOS")
def test_artifacts_come_from_the_manifest_and_core_ml_is_left_to_apple(directory):
    targets, left_out = artifact_targets(directory)
    [target] = targets
    assert target.subject.name == "nano-int8.onnx"
    assert (target.subject.bytes, target.subject.macs) == (4, 546_974_848)
    assert target.metadata.image_size == 256
    assert [row.subject for row in left_out] == ["nano-int8.mlpackage"]


def test_a_file_that_is_not_the_listed_one_is_not_measured(directory):
    (directory / "nano-int8.onnx").write_bytes(b"other")
    with pytest.raises(ArtifactError, match="not the file that the manifest lists"):
        artifact_targets(directory)


def test_torch_is_marked_as_random(directory):
    assert network_target("nano").subject.random_weights


def test_peers_are_those_that_were_built(tmp_path):
    entry = {
        "file": "edgesam.onnx",
        "network": "EdgeSAM",
        "scope": "image encoder",
        "macs": 1000,
        "parameters": 10,
        "input_size": 1024,
    }
    (tmp_path / PEERS_NAME).write_text(json.dumps({"peers": [entry]}))
    with pytest.raises(ArtifactError, match=r"edgesam\.onnx is missing"):
        peer_targets(tmp_path)
    (tmp_path / "edgesam.onnx").write_bytes(b"123")
    (tmp_path / "edgesam.onnx.data").write_bytes(b"45")
    [target] = peer_targets(tmp_path)
    assert target.subject.name == "EdgeSAM .onnx"
    assert target.subject.scope == "image encoder, 1024²"
    assert target.subject.bytes == 5


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, r"has no peers\.json"), ("{", "not JSON"), ('{"peers": [{}]}', "peers")],
)
def test_a_directory_without_peers_is_refused(tmp_path, content, message):
    if content is not None:
        (tmp_path / PEERS_NAME).write_text(content)
    with pytest.raises(ArtifactError, match=message):
        peer_targets(tmp_path)


def test_the_files_of_an_exported_peer_are_subjects_of_their_own(tmp_path):
    files = sam(tmp_path)
    encoder, decoder = exported_peer_targets("SAM=" + "+".join(map(str, files)))
    assert (encoder.subject.name, decoder.subject.name) == ("SAM encoder.onnx", "SAM decoder.onnx")
    assert (encoder.subject.scope, decoder.subject.scope) == ("image encoder", "mask decoder")
    assert encoder.subject.bytes == files[0].stat().st_size
    for target in (encoder, decoder):
        runner = make_runner(Job(kind="peer", target=target.target, peer=target.peer, threads=1))
        runner.load()
        assert runner.run(0)["inference"] > 0  # a box
        assert runner.run(1)["inference"] > 0  # three clicks

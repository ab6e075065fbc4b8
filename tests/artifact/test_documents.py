"""Every JSON that others write ends in one sentence that names the file and the key."""

import json
from pathlib import Path

import pytest

from sqsam_deploy.artifact.documents import parse_json
from sqsam_deploy.artifact.manifest import parse_manifest
from sqsam_deploy.artifact.metadata import stored_metadata
from sqsam_deploy.benchmark.resultfile import read_result
from sqsam_deploy.benchmark.subjects import peer_targets
from sqsam_deploy.errors import ArtifactError, DataError, SqsamError
from sqsam_deploy.evaluation.detections import read_detections
from sqsam_deploy.evaluation.resume_log import ResumeLog
from sqsam_deploy.model.config import NANO
from sqsam_deploy.model.description import describe
from sqsam_deploy.release.evidence import read_parity

DEEP = "[" * 100_000 + "]" * 100_000

#: Inside of an object, and what the message must name.
ODD = [
    (f'"x": {DEEP}', "deeply"),
    (f'"x": {"[" * 500}{"]" * 500}', "deeply|x|Extra"),
    ('"x": ' + "1" * 5_000, "JSON"),
    ('"x": NaN', "NaN"),
    ('"x": -Infinity', "Infinity"),
    ('"x": 1e999', "1e999"),
    ('"x": 1, "y": 2, "x": 3', "'x'"),
    ('"x": "\\\\ud800"', "x|document|Extra"),
    ('"x": ', "JSON"),
]


def _read_manifest(path: Path) -> object:
    return parse_manifest(path.read_bytes(), str(path))


def _read_detections(path: Path) -> object:
    return read_detections(path, {1: "cat"})


def _read_peers(path: Path) -> object:
    return peer_targets(path.rename(path.with_name("peers.json")).parent)


def _read_metadata(path: Path) -> object:
    return stored_metadata(path.read_bytes(), str(path))


READERS = [
    (_read_manifest, '"manifest_version": 1'),
    (read_result, '"result_version": 1'),
    (read_parity, '"schema": "sqsam-parity/1"'),
    (_read_detections, '"image_id": 1'),
    (_read_peers, '"peers": []'),
    (_read_metadata, '"format_version": 1'),
]


@pytest.mark.parametrize(("inside", "named"), ODD)
@pytest.mark.parametrize(("read", "first"), READERS)
def test_odd_json_is_refused_in_one_sentence(read, first, inside, named, tmp_path) -> None:
    path = tmp_path / "document.json"
    path.write_text(f"{{{first}, {inside}}}")
    with pytest.raises((ArtifactError, DataError)) as raised:
        read(path)
    message = str(raised.value)
    assert str(tmp_path) in message
    assert "\n" not in message
    assert len(message) < 400


@pytest.mark.parametrize(("inside", "named"), [case for case in ODD if "|" not in case[1]])
def test_what_is_wrong_with_the_json_is_named(inside, named) -> None:
    with pytest.raises(ArtifactError, match=rf"x\.json.*{named}"):
        parse_json(f"{{{inside}}}", "x.json")


@pytest.mark.parametrize("content", ["3", "[]", "null", '"a"', "{}", '{"manifest_version": true}'])
@pytest.mark.parametrize(("read", "first"), READERS)
def test_json_of_another_kind_is_refused(read, first, content, tmp_path) -> None:
    path = tmp_path / "document.json"
    path.write_text(content)
    if (read, content) == (_read_detections, "[]"):
        assert read(path) == {}
        return
    with pytest.raises(SqsamError, match=str(tmp_path)):
        read(path)


IMAGE = {"name": "image", "dtype": "float32", "layout": "NCHW"}


@pytest.mark.parametrize(
    "change",
    [
        {"image_size": 10**9},
        {"mask_size": -1},
        {
            "inputs": [
                {"name": "image", "dtype": "float32", "shape": [1 << 20] * 4, "layout": "NCHW"}
            ]
        },
        {"inputs": [{"name": "image", "dtype": "float32", "shape": [-1], "layout": "NCHW"}]},
    ],
)
def test_metadata_of_a_network_that_nothing_can_hold_is_refused(change) -> None:
    metadata = describe(NANO, runtime="onnx", precision="fp32", weights_sha256="0" * 64)
    document = json.loads(metadata.model_dump_json())
    assert stored_metadata(json.dumps(document), "a.onnx") == metadata
    with pytest.raises(ArtifactError, match=r"a\.onnx.*(image|mask)"):
        stored_metadata(json.dumps(document | change), "a.onnx")


@pytest.mark.parametrize("content", ["3\n", "[]\n", '{"fingerprint": "f"}\n{"image": 3}\n', DEEP])
def test_a_resume_log_that_cannot_be_used_is_begun_anew(content, tmp_path) -> None:
    path = tmp_path / "log"
    path.write_text(content)
    with ResumeLog(path, "f") as log:
        assert log.done == {}


def test_a_message_cannot_steer_the_terminal() -> None:
    message = str(DataError("\x1b]0;title\x07\x9b31m\u202e\udc80 café 猫 " + "x" * 5_000))
    assert message.startswith("\\x1b]0;title\\x07\\x9b31m\\u202e\\udc80 café 猫 xxx")
    assert len(message) < 2_100

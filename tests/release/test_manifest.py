import json
import shutil
import subprocess
from importlib.resources import files
from pathlib import Path

import jsonschema
import pytest

from sqsam_deploy.artifact.files import FileEntry
from sqsam_deploy.artifact.manifest import (
    ArtifactEntry,
    Manifest,
    parse_manifest,
    read_manifest,
    verify_files,
    write_manifest,
)
from sqsam_deploy.artifact.paths import check_relative_path, find_clash
from sqsam_deploy.errors import ArtifactError


def artifact(manifest: Manifest, path: str) -> ArtifactEntry:
    return next(entry for entry in manifest.artifacts if entry.path == path)


def test_what_was_written_is_read_back(export: Path) -> None:
    manifest = read_manifest(export)
    before = (export / "manifest.json").read_bytes()
    write_manifest(export, manifest)
    assert (export / "manifest.json").read_bytes() == before
    assert not list(export.glob(".*"))


def shipped_schema() -> dict[str, object]:
    text = (files("sqsam_deploy.artifact.schema") / "manifest-1.json").read_bytes()
    return dict(json.loads(text))


def test_shipped_schema_is_the_models_own() -> None:
    assert shipped_schema() == Manifest.model_json_schema()


def test_written_manifest_satisfies_the_shipped_schema(export: Path) -> None:
    jsonschema.validate(json.loads((export / "manifest.json").read_bytes()), shipped_schema())


def test_digest_of_a_file_is_what_sha256sum_says(export: Path) -> None:
    said = subprocess.check_output(["sha256sum", export / "nano-int8.pte"], text=True).split()[0]
    assert artifact(read_manifest(export), "nano-int8.pte").sha256 == said


@pytest.mark.skipif(not shutil.which("sha256sum"), reason="coreutils missing")
def test_digest_of_a_directory_is_what_the_documented_shell_command_says(export: Path) -> None:
    command = "find . -type f -printf '%P\\n' | LC_ALL=C sort | xargs sha256sum | sha256sum"
    said = subprocess.check_output(
        command, shell=True, cwd=export / "nano-int8.mlpackage", text=True
    )
    assert artifact(read_manifest(export), "nano-int8.mlpackage").sha256 == said.split()[0]


def test_untouched_directory_verifies(export: Path) -> None:
    verify_files(export, read_manifest(export))


def test_one_flipped_bit_is_found(export: Path) -> None:
    path = export / "nano-int8.mlpackage/Data/com.apple.CoreML/weights/weight.bin"
    content = bytearray(path.read_bytes())
    content[1234] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"weight\.bin is not the file"):
        verify_files(export, read_manifest(export))


def test_truncated_file_is_found_by_its_size(export: Path) -> None:
    path = export / "nano-int8.onnx"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ArtifactError, match="4999 bytes where the manifest says 5000"):
        verify_files(export, read_manifest(export))


def test_missing_file_is_named(export: Path) -> None:
    (export / "nano-int8.pte").unlink()
    with pytest.raises(ArtifactError, match=r"nano-int8\.pte is listed"):
        verify_files(export, read_manifest(export))


def test_link_in_place_of_a_file_is_refused_though_its_bytes_agree(export: Path) -> None:
    path = export / "nano-int8.pte"
    path.rename(export / "elsewhere")
    path.symlink_to("elsewhere")
    with pytest.raises(ArtifactError, match="plain file"):
        verify_files(export, read_manifest(export))


def test_unlisted_file_inside_a_package_is_refused(export: Path) -> None:
    (export / "nano-int8.mlpackage/Data/extra").write_text("x")
    with pytest.raises(ArtifactError, match="extra is not listed"):
        verify_files(export, read_manifest(export))


def test_newer_manifest_is_refused_in_one_sentence(export: Path) -> None:
    document = json.loads((export / "manifest.json").read_bytes())
    document |= {"manifest_version": 2, "something_new": []}
    with pytest.raises(ArtifactError, match=r"manifest_version 2 .* install a newer sqsam-deploy$"):
        parse_manifest(json.dumps(document).encode(), "manifest.json")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "not JSON"),
        (b"[1]", "no manifest_version"),
        (b"{}", "no manifest_version"),
        (b'{"manifest_version": true}', "no manifest_version"),
        (b'{"manifest_version": 1}', "at name: Field required"),
        (b'\xff\xfe{"manifest_version": 1}', "damaged"),
    ],
)
def test_damaged_manifest_is_refused_in_one_sentence(content: bytes, reason: str) -> None:
    with pytest.raises(ArtifactError, match=reason) as raised:
        parse_manifest(content, "m.json")
    assert "\n" not in str(raised.value)


def test_directory_without_a_manifest_is_named(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"has no manifest\.json"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    "path",
    [
        "/etc/passwd",
        "../x",
        "a/../../x",
        "a//b",
        "./a",
        "",
        "a/",
        "a\\b",
        "C:x",
        "a\x00b",
        "nul.txt",
        "a/ ",
        "dir./x",
        "x" * 600,
    ],
)
def test_paths_that_leave_their_directory_or_cannot_be_stored_are_refused(path: str) -> None:
    with pytest.raises(ValueError, match="the path"):
        check_relative_path(path)
    with pytest.raises(ValueError, match="the path"):
        FileEntry(path=path, bytes=0, sha256="0" * 64)


@pytest.mark.parametrize(
    "paths", [["a", "a"], ["A.pte", "a.pte"], ["a", "a/b"], ["a/b", "a"], ["\u00e9", "e\u0301"]]
)
def test_files_that_would_overwrite_each_other_clash(paths: list[str]) -> None:
    assert find_clash(paths) == paths[1]


def test_files_side_by_side_do_not_clash() -> None:
    assert find_clash(["a/b", "a/c", "ab", "a.b"]) is None

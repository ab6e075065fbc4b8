import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from sqsam_deploy.artifact.manifest import read_manifest, write_manifest
from sqsam_deploy.artifact.provenance import git_revision
from sqsam_deploy.pipeline.reproducibility import (
    Reproduction,
    compare_exports,
    first_difference,
    same_layers,
)
from sqsam_deploy.runtimes.registry import tool_versions
from tests.release.export_builder import ExportBuilder

Change = Callable[[Path], None]
Check = Callable[[Change], Reproduction]


@pytest.fixture
def export(tmp_path: Path) -> Path:
    return ExportBuilder()(tmp_path / "export")


@pytest.fixture
def check(export: Path, tmp_path: Path) -> Check:
    """Compares with a second build that is a copy of the first, changed."""
    numbers = itertools.count()

    def call(change: Change) -> Reproduction:
        again = shutil.copytree(export, tmp_path / f"again-{next(numbers)}")
        change(again)
        return compare_exports(export, again)

    return call


def _nothing(again: Path) -> None:
    """The second build is the first."""


def test_the_same_bytes_are_the_same(check: Check, export: Path) -> None:
    result = check(_nothing)
    assert result.same
    listed = {entry.path for entry in read_manifest(export).all_files()}
    assert {file.path for file in result.files} == listed


def test_the_first_byte_that_differs_is_named(check: Check) -> None:
    def flip(again: Path) -> None:
        content = bytearray((again / "nano-int8.onnx").read_bytes())
        content[1234] ^= 1
        content[4000] ^= 1
        (again / "nano-int8.onnx").write_bytes(content)

    result = check(flip)
    differing = [file for file in result.files if not file.same]
    assert [(file.path, file.first_difference) for file in differing] == [("nano-int8.onnx", 1234)]
    assert not result.same


def test_a_file_missing_from_either_side_differs(check: Check, export: Path) -> None:
    (export / "nano-int8.pte").unlink()
    result = check(lambda again: (again / "nano-int8.onnx").unlink())
    sizes = {file.path: (file.bytes, file.bytes_again) for file in result.files if not file.same}
    assert sizes == {"nano-int8.pte": (None, None), "nano-int8.onnx": (5000, None)}


def test_another_recipe_differs_other_measurements_and_revisions_do_not(check: Check) -> None:
    def rewrite(**fields: object) -> Change:
        return lambda again: _rewritten(again, fields)

    assert check(rewrite(git_revision="1" * 40, tools={})).same
    assert check(rewrite(recipe="other")).manifest_changes == ("recipe",)


def _rewritten(directory: Path, fields: dict[str, object]) -> None:
    manifest = read_manifest(directory)
    entries = tuple(
        entry.model_copy(
            update={"agreement": entry.agreement.model_copy(update={"mean_mask_iou": 0.5})}
        )
        for entry in manifest.artifacts
    )
    write_manifest(directory, manifest.model_copy(update={"artifacts": entries, **fields}))


def test_versions_that_changed_are_named(check: Check, export: Path) -> None:
    here, revision = tool_versions(), git_revision()
    earlier = {"tools": here | {"torch": "2.12.9"}, "git_revision": revision}
    write_manifest(export, read_manifest(export).model_copy(update=earlier))
    assert check(_nothing).tool_changes == {"torch": ("2.12.9", here["torch"])}


@pytest.mark.parametrize(
    ("a", "b", "position"),
    [
        (b"", b"", None),
        (b"abc", b"abc", None),
        (b"abc", b"abd", 2),
        (b"abc", b"ab", 2),
        (b"", b"a", 0),
        (b"x" * (1 << 20) + b"a", b"x" * (1 << 20) + b"b", 1 << 20),
        (b"x" * (1 << 20), b"x" * (1 << 20) + b"b", 1 << 20),
    ],
)
def test_position_of_the_first_difference(
    a: bytes, b: bytes, position: int | None, tmp_path: Path
) -> None:
    (tmp_path / "a").write_bytes(a)
    (tmp_path / "b").write_bytes(b)
    assert first_difference(tmp_path / "a", tmp_path / "b") == position


LAYER = {"name": "a", "snr_db": 31.58, "minimum": 0.0, "maximum": 7.812138, "scale": 0.03}


@pytest.mark.parametrize(
    ("change", "same"),
    [
        ({}, True),
        ({"maximum": 7.8121376, "snr_db": 31.56}, True),
        ({"maximum": 7.9}, False),
        ({"snr_db": 30.5}, False),
        ({"snr_db": None}, False),
        ({"scale": 0.030000001}, False),
        ({"name": "b"}, False),
    ],
)
def test_a_layer_report_may_differ_in_the_last_digits_of_measurements(
    change: dict[str, object], same: bool
) -> None:
    other = {"name": "c", "snr_db": None, "minimum": 1.0, "maximum": 2.0, "scale": 1.0}
    first = {"layers": [LAYER, other], "kept_float": []}
    again = {"layers": [other, LAYER | change], "kept_float": []}
    assert same_layers(json.dumps(first).encode(), json.dumps(again).encode()) is same
    assert not same_layers(json.dumps(first).encode(), b"{}")
    assert not same_layers(json.dumps(first).encode(), json.dumps(again | {"x": 1}).encode())

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open
from semver import Version

from sqsam_deploy.artifact.files import hash_file
from sqsam_deploy.artifact.manifest import read_manifest
from sqsam_deploy.checkpoint.bundled import bundled_checkpoint
from sqsam_deploy.errors import ArtifactError, GateError, ReleaseError, UsageError
from sqsam_deploy.release import store_paths
from sqsam_deploy.release.catalog import Index, Indexer, move_tag, read_index, read_record
from sqsam_deploy.release.document import Release, parse_release
from sqsam_deploy.release.publish import Published, publish
from sqsam_deploy.release.request import PublishRequest
from sqsam_deploy.release.store import FolderStore, Store, open_store
from tests.release.export_builder import ExportBuilder
from tests.release.release_keys import Keys

NAME = "squeezesam-nano"
V1 = Version(1, 0, 0)


@pytest.fixture
def store(tmp_path: Path) -> FolderStore:
    return FolderStore(tmp_path / "store")


def put(store: Store, export: Path, version: str = "1.0.0", **options: object) -> Published:
    return publish(store, PublishRequest(export, version=version, **options))  # type: ignore[arg-type]


def stored(store: FolderStore, file: str, version: Version = V1) -> bytes:
    record = read_record(store, NAME, version)
    assert record is not None
    return store.read(store_paths.blob(record[file]), 1 << 24)


def release_of(store: FolderStore, version: Version = V1) -> Release:
    return parse_release(stored(store, "release.json", version), "release.json")


def test_published_release_holds_every_document(store: FolderStore, export: Path) -> None:
    put(store, export)
    record = read_record(store, NAME, V1)
    assert record is not None
    assert set(record) == {
        "LICENSE.md",
        "README.md",
        "manifest.json",
        "nano-fp32.pte",
        "nano-int8.mlpackage/Data/com.apple.CoreML/model.mlmodel",
        "nano-int8.mlpackage/Data/com.apple.CoreML/weights/weight.bin",
        "nano-int8.mlpackage/Manifest.json",
        "nano-int8.onnx",
        "nano-int8.pte",
        "parity.json",
        "release.json",
        "report.html",
        "sbom.cdx.json",
    }


def test_store_is_readable_with_the_commands_its_readme_shows(
    store: FolderStore, export: Path, tmp_path: Path
) -> None:
    put(store, export)
    readme = (Path(store.url) / "README.txt").read_text()
    script = readme.partition("directory:\n")[2].partition("\nREADME.md in")[0]
    script = script.replace("STORE", f"file://{store.url}").replace("NAME", NAME)
    script = script.replace("VERSION", "1.0.0")
    if not shutil.which("curl"):
        pytest.skip("curl is missing")
    (tmp_path / "by-hand").mkdir()
    done = subprocess.run(
        ["sh", "-ec", script], cwd=tmp_path / "by-hand", capture_output=True, text=True, check=True
    )
    assert done.stdout.count(": OK") == 13
    pulled = (tmp_path / "by-hand" / "nano-int8.pte").read_bytes()
    assert pulled == (export / "nano-int8.pte").read_bytes()


def test_same_directory_gives_the_same_files(export: Path, tmp_path: Path) -> None:
    first, second = FolderStore(tmp_path / "a"), FolderStore(tmp_path / "b")
    put(first, export)
    copy = tmp_path / "copy"
    shutil.copytree(export, copy)
    for path in copy.rglob("*"):
        os.utime(path, (0, 0))
    put(second, copy)
    one, two = release_of(first), release_of(second)
    assert one.files == two.files
    assert one.same_content(two)


def test_source_date_epoch_fixes_the_time_of_publishing(
    store: FolderStore, export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1700000000")
    put(store, export)
    assert release_of(store).published == "2023-11-14T22:13:20Z"


@pytest.mark.parametrize("text", ["abc", "nan", "1e300", "-1", "1.5", "9" * 40, "\u0663", " "])
def test_source_date_epoch_that_is_no_time_is_refused_by_name(
    text: str, store: FolderStore, export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
    with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH"):
        put(store, export)


def test_empty_source_date_epoch_is_as_good_as_none(
    store: FolderStore, export: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "")
    put(store, export)
    assert release_of(store).published > "2024"


def test_version_is_never_overwritten(
    store: FolderStore, export: Path, build_export: ExportBuilder, tmp_path: Path
) -> None:
    put(store, export)
    before = {path: path.read_bytes() for path in Path(store.url).rglob("*") if path.is_file()}
    other = build_export(tmp_path / "other", seed=1)
    with pytest.raises(
        ReleaseError, match=r"already has squeezesam-nano 1\.0\.0 with other content"
    ):
        put(store, other)
    after = {path: path.read_bytes() for path in Path(store.url).rglob("*") if path.is_file()}
    assert after == before


def test_release_of_format_version_1_is_recognized_as_the_same(
    store: FolderStore, export: Path
) -> None:
    """There a package directory is one file, a zip, and every artifact says where it is."""
    put(store, export)
    document = json.loads(stored(store, "release.json"))
    for artifact in document["artifacts"]:
        is_file = (export / artifact["path"]).is_file()
        artifact["stored_as"] = artifact["path"] if is_file else artifact["path"] + ".zip"
    zipped = {"path": "nano-int8.mlpackage.zip", "bytes": 9, "sha256": "0" * 64}
    parts = [file for file in document["files"] if "mlpackage/" in file["path"]]
    files = [*(file for file in document["files"] if file not in parts), zipped]
    content = json.dumps(document | {"release_version": 1, "files": files}).encode()
    old = parse_release(content, "release.json")
    assert old.same_content(release_of(store))
    assert release_of(store).same_content(old)
    document["artifacts"][0]["sha256"] = "1" * 64
    content = json.dumps(document | {"release_version": 1, "files": files}).encode()
    assert not parse_release(content, "release.json").same_content(release_of(store))


def test_publishing_the_same_again_changes_nothing_and_succeeds(
    store: FolderStore, export: Path
) -> None:
    first = put(store, export)
    again = put(store, export)
    assert not first.already_there
    assert again.already_there
    assert again.release.published == first.release.published


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (
            lambda d: (d / "nano-int8.pte").write_bytes(b"x" * 5000),
            r"nano-int8\.pte is not the file",
        ),
        (lambda d: (d / "nano-int8.onnx").unlink(), r"nano-int8\.onnx is listed"),
        (lambda d: (d / "stray.pte").write_bytes(b"x"), r"stray\.pte is not listed"),
        (lambda d: (d / "manifest.json").unlink(), r"no manifest\.json"),
    ],
)
def test_directory_that_is_not_what_its_manifest_says_is_refused(
    damage: object, reason: str, store: FolderStore, export: Path
) -> None:
    damage(export)  # type: ignore[operator]
    with pytest.raises(ArtifactError, match=reason):
        put(store, export)
    assert not (Path(store.url) / store_paths.MODELS).exists()


def test_missing_parity_result_is_refused(store: FolderStore, export: Path) -> None:
    (export / "parity.json").unlink()
    with pytest.raises(ArtifactError, match="run sqsam-parity"):
        put(store, export)


def change_parity(export: Path, **changes: object) -> None:
    path = export / "parity.json"
    path.write_text(json.dumps(json.loads(path.read_bytes()) | changes))


def test_failed_gate_is_refused(store: FolderStore, export: Path) -> None:
    change_parity(export, passed=False, outcome="failed")
    with pytest.raises(GateError, match="did not pass"):
        put(store, export)


def test_undecided_gate_is_refused_as_undecided(store: FolderStore, export: Path) -> None:
    change_parity(export, passed=False, outcome="undecided")
    with pytest.raises(ArtifactError, match="undecided"):
        put(store, export)


def test_quantized_artifact_that_parity_did_not_see_is_refused(
    store: FolderStore, export: Path
) -> None:
    covered = json.loads((export / "parity.json").read_bytes())["artifacts"]
    del covered["nano-int8.onnx"]
    change_parity(export, artifacts=covered)
    with pytest.raises(ArtifactError, match=r"does not cover nano-int8\.onnx"):
        put(store, export)


def test_parity_result_of_other_bytes_is_refused(
    store: FolderStore, export: Path, build_export: ExportBuilder, tmp_path: Path
) -> None:
    other = build_export(tmp_path / "other", seed=1)
    shutil.copy(other / "parity.json", export / "parity.json")
    with pytest.raises(ArtifactError, match=r"is of another nano-int8"):
        put(store, export)


@pytest.mark.parametrize("passed", ["yes", 1, None])
def test_parity_result_that_only_looks_passed_is_refused(
    passed: object, store: FolderStore, export: Path
) -> None:
    change_parity(export, passed=passed)
    with pytest.raises(ArtifactError, match="passed"):
        put(store, export)


def test_unverified_release_says_so_everywhere(store: FolderStore, export: Path) -> None:
    change_parity(export, passed=False)
    put(store, export, allow_unverified=True)
    release = release_of(store)
    assert release.verification.status == "unverified"
    assert release.verification.reason == "the parity gate did not pass"
    assert "**Not verified.**" in stored(store, "README.md").decode()
    assert read_index(store).models[NAME].versions["1.0.0"].status == "unverified"


def test_drift_of_a_release_is_that_of_the_parity_result(store: FolderStore, export: Path) -> None:
    put(store, export)
    drifts = {artifact.path: artifact.drift for artifact in release_of(store).artifacts}
    assert drifts["nano-fp32.pte"] is None
    drift = drifts["nano-int8.mlpackage"]
    assert drift is not None
    assert (drift.mean, drift.low, drift.high) == (0.21, 0.05, 0.37)


def test_card_is_read_by_the_hub_library(store: FolderStore, export: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    put(store, export)
    card = hub.ModelCard(stored(store, "README.md").decode())
    assert card.data.license == "apache-2.0"
    assert card.data.pipeline_tag == "mask-generation"
    assert card.data.library_name == "sqsam-deploy"
    assert {"squeezesam", "executorch", "coreml", "onnx", "int8"} <= set(card.data.tags)
    for artifact in read_manifest(export).artifacts:
        assert f"| `{artifact.path}` | {artifact.metadata.runtime} |" in card.text
    assert "+0.21 [+0.05, +0.37]" in card.text
    for heading in ("Intended use", "Limits", "License of the weights", "Latency"):
        assert f"## {heading}" in card.text


@pytest.mark.parametrize(
    ("license", "front_matter"),
    [
        (None, "license: unknown\n"),
        ("CC-BY-4.0", "license: cc-by-4.0\n"),
        (
            "Research only, ask: a@b\nline",
            "license: other\nlicense_name: research-only-ask-a-b-line\nlicense_link: LICENSE.md\n",
        ),
    ],
)
def test_card_states_any_license_in_valid_front_matter(
    license: str | None, front_matter: str, store: FolderStore, export: Path
) -> None:
    path = export / "manifest.json"
    document = json.loads(path.read_bytes())
    document["weights"]["license"] = license
    path.write_text(json.dumps(document))
    put(store, export)
    text = stored(store, "README.md").decode()
    assert text.startswith(f"---\n{front_matter}")
    hub = pytest.importorskip("huggingface_hub")
    assert hub.ModelCard(text).data.license in ("unknown", "cc-by-4.0", "other")


def released_bundled(store: FolderStore, export: Path, **changes: Any) -> str:
    """The card of a release whose manifest names the bundled `nano`."""
    path = export / "manifest.json"
    document = json.loads(path.read_bytes())
    weights = bundled_checkpoint("nano")
    with safe_open(weights, "np") as file:
        note = (file.metadata() or {})["licence"]
    document["weights"] = {"name": weights.name, "sha256": hash_file(weights), "license": note}
    path.write_text(json.dumps(document))
    put(store, export, **changes)
    return stored(store, "README.md").decode()


def test_a_license_of_ones_own_has_an_identifier_and_a_file(
    store: FolderStore, export: Path
) -> None:
    """As https://huggingface.co/docs/hub/repositories-licenses wants it."""
    text = released_bundled(store, export)
    front = dict(line.split(": ", 1) for line in text.splitlines()[1:4])
    assert front["license"] == "other"
    assert re.fullmatch("[a-z0-9.-]{1,60}", front["license_name"])
    linked = stored(store, front["license_link"]).decode()
    assert front["license_link"] == "LICENSE.md"
    note = json.loads(stored(store, "manifest.json"))["weights"]["license"]
    assert note in linked
    # What the weights are good for is said before anything else.
    assert 0 < text.index(note) < text.index("## ")


def test_a_card_names_only_files_of_its_release(store: FolderStore, export: Path) -> None:
    text = released_bundled(store, export)
    release = release_of(store)
    files = {entry.path for entry in release.files} | {a.path for a in release.artifacts}
    named = set(re.findall(r"[\w.-]+\.(?:pte|onnx|mlpackage|json|md|html)\b", text))
    assert {"nano.md", "LICENSE.md", "manifest.json", "nano-int8.pte"} <= named
    assert named <= files


def test_a_card_has_the_accuracy_of_float_and_int8_by_prompt(
    store: FolderStore, export: Path
) -> None:
    path = export / "parity.json"
    document = json.loads(path.read_bytes())
    document["dataset"] = {"name": "kitchens", "images": 70, "objects": 149}
    fp32 = next(e for e in read_manifest(export).artifacts if e.path == "nano-fp32.pte")
    document["artifacts"]["nano-fp32.pte"] = {"sha256": fp32.sha256}
    for name, points in {"nano-fp32.pte": (75.3, 61.5), "nano-int8.onnx": (75.1, 61.25)}.items():
        kinds = zip(("box", "3-clicks"), points, strict=True)
        document["artifacts"][name]["miou"] = [{"kind": k, "overall": p} for k, p in kinds]
    path.write_text(json.dumps(document))
    put(store, export)
    accuracy = stored(store, "README.md").decode().split("## Accuracy")[1].split("\n## ")[0]
    assert "149 objects" in accuracy and "70 photos" in accuracy and "'kitchens'" in accuracy
    rows = [line.strip("| ").split(" | ") for line in accuracy.splitlines() if "`" in line]
    assert rows == [
        ["`nano-fp32.pte`", "fp32", "75.30", "61.50"],
        ["`nano-int8.onnx`", "int8", "75.10", "61.25"],
    ]


def test_a_card_says_which_file_to_take_and_how_to_run_it(store: FolderStore, export: Path) -> None:
    text = released_bundled(store, export)
    table = text.split("## Which file to take")[1].split("\n## ")[0]
    names = re.findall(r"`(.*?)`", table)
    assert names == ["nano-int8.pte", "nano-int8.mlpackage", "nano-int8.onnx"]
    example = text.split("```python")[1].split("```")[0]
    loaded: dict[str, Any] = {}
    exec("\n".join(line for line in example.splitlines() if "import" in line), loaded)
    compile(example, "card", "exec")
    assert f'open_session("{names[0]}")' in example
    assert callable(loaded["Predictor"]) and callable(loaded["read_image"])


def test_bill_of_materials_is_valid_cyclonedx(store: FolderStore, export: Path) -> None:
    from cyclonedx.exception import MissingOptionalDependencyException
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    put(store, export)
    text = stored(store, "sbom.cdx.json").decode()
    try:
        assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    except MissingOptionalDependencyException:
        pytest.skip("the validator of cyclonedx-python-lib[json-validation] is not installed")


def test_bill_of_materials_names_what_was_used(store: FolderStore, export: Path) -> None:
    put(store, export)
    bill = json.loads(stored(store, "sbom.cdx.json"))
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert "timestamp" not in bill["metadata"]
    component = bill["metadata"]["component"]
    assert (component["type"], component["version"]) == ("machine-learning-model", "1.0.0")
    found = {item["name"]: item for item in bill["components"]}
    assert found["torch"]["purl"] == "pkg:pypi/torch@2.13.0"
    manifest = read_manifest(export)
    for artifact in manifest.artifacts:
        assert found[artifact.path]["hashes"] == [{"alg": "SHA-256", "content": artifact.sha256}]
    assert found["nano.safetensors"]["hashes"][0]["content"] == manifest.weights.sha256


def test_signature_is_accepted_by_the_signing_librarys_own_command(
    store: FolderStore, export: Path, keys: Keys, other_keys: Keys, tmp_path: Path
) -> None:
    put(store, export, sign_key=keys.private)
    for name in ("release.json", "release.json.sig"):
        (tmp_path / name).write_bytes(stored(store, name))
    # `python -m model_signing`, once for each key that is given, in one process.
    code = (
        "import runpy, sys\n"
        "release, *keys = sys.argv[1:]\n"
        "for key in keys:\n"
        "    sys.argv = ['model_signing', 'verify', 'key', release]\n"
        "    sys.argv += ['--signature', f'{release}.sig', '--public_key', key]\n"
        "    try:\n"
        "        runpy.run_module('model_signing', run_name='__main__')\n"
        "    except SystemExit as ended:\n"
        "        print('ended', ended.code)\n"
    )
    files = (tmp_path / "release.json", keys.public, other_keys.public)
    command = [sys.executable, "-c", code, *map(str, files)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    good, bad = (line for line in done.stdout.splitlines() if line.startswith("ended "))
    assert good == "ended 0", done.stderr
    assert bad == "ended 1"


def test_key_that_is_none_is_refused_in_one_sentence(
    store: FolderStore, export: Path, tmp_path: Path
) -> None:
    (tmp_path / "key.pem").write_text("no key")
    with pytest.raises(UsageError, match=r"key\.pem is no usable private key"):
        put(store, export, sign_key=tmp_path / "key.pem")
    assert not (Path(store.url) / store_paths.MODELS).exists()


def test_latest_follows_the_highest_release_in_any_order_of_publishing(
    store: FolderStore, export: Path
) -> None:
    for version in ("1.10.0", "1.9.0", "2.0.0-rc.1"):
        put(store, export, version)
    index = read_index(store)
    assert index.models[NAME].tags == {"latest": "1.10.0"}
    assert list(index.models[NAME].versions) == ["1.9.0", "1.10.0", "2.0.0-rc.1"]
    assert store.read(store_paths.tag(NAME, "latest"), 100) == b"1.10.0\n"


def test_tags_move_to_versions_that_exist(store: FolderStore, export: Path) -> None:
    put(store, export, "1.0.0", tags=("stable",))
    put(store, export, "1.1.0")
    assert read_index(store).models[NAME].tags["stable"] == "1.0.0"
    move_tag(store, NAME, "stable", Version(1, 1, 0))
    assert store.read(store_paths.tag(NAME, "stable"), 100) == b"1.1.0\n"
    with pytest.raises(ReleaseError, match=r"nano@3\.0\.0: versions are 1\.0\.0, 1\.1\.0"):
        move_tag(store, NAME, "stable", Version(3, 0, 0))
    with pytest.raises(UsageError, match="latest always names"):
        move_tag(store, NAME, "latest", V1)


@pytest.mark.parametrize("damage", ["missing", "not JSON", "older"])
def test_index_is_rebuilt_from_the_versions(damage: str, store: FolderStore, export: Path) -> None:
    put(store, export, "1.0.0", tags=("stable",))
    put(store, export, "1.1.0")
    before = read_index(store)
    path = Path(store.url) / "index.json"
    if damage == "missing":
        path.unlink()
    else:
        path.write_text("{" if damage == "not JSON" else Index(models={}).model_dump_json())
    assert Indexer(store).refresh() == before
    assert read_index(store) == before


def test_damaged_version_is_left_out_of_the_index_and_named(
    store: FolderStore, export: Path
) -> None:
    put(store, export, "1.0.0")
    put(store, export, "1.1.0")
    record = read_record(store, NAME, V1)
    assert record is not None
    (Path(store.url) / store_paths.blob(record["release.json"])).write_text("{}")
    indexer = Indexer(store)
    assert list(indexer.refresh().models[NAME].versions) == ["1.1.0"]
    assert [(item.name, item.version) for item in indexer.damage] == [(NAME, "1.0.0")]


def test_blob_damaged_in_the_store_is_repaired_by_publishing_it_again(
    store: FolderStore, export: Path
) -> None:
    put(store, export, "1.0.0")
    record = read_record(store, NAME, V1)
    assert record is not None
    blob = Path(store.url) / store_paths.blob(record["nano-int8.pte"])
    whole = blob.read_bytes()
    for damaged in (b"y" * len(whole), whole[:-1], whole + b"y"):
        blob.write_bytes(damaged)
        put(store, export, f"1.0.{len(damaged)}")
        assert blob.read_bytes() == whole


def test_unfit_model_name_is_refused(store: FolderStore, export: Path) -> None:
    with pytest.raises(UsageError, match="cannot name a model"):
        put(store, export, name="../elsewhere")


def test_publishing_to_s3_is_the_same(
    s3_store_url: str, export: Path, build_export: ExportBuilder, tmp_path: Path
) -> None:

    store = open_store(s3_store_url)
    put(store, export, tags=("stable",))
    assert put(store, export).already_there
    with pytest.raises(ReleaseError, match="other content"):
        put(store, build_export(tmp_path / "other", seed=1))
    assert read_index(store).models[NAME].tags == {"latest": "1.0.0", "stable": "1.0.0"}

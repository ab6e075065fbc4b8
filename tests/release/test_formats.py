import json
import re
import shutil
import tomllib
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest

from sqsam_deploy.artifact.manifest import read_manifest, verify_files, write_manifest
from sqsam_deploy.errors import MissingDependencyError, StoreError, UsageError
from sqsam_deploy.release.android import COMPILE_SDK, MIN_SDK
from sqsam_deploy.release.formats import find_format
from sqsam_deploy.release.publish import publish
from sqsam_deploy.release.request import PublishRequest
from sqsam_deploy.release.store import open_store
from sqsam_deploy.release.swift_package import swift_string, type_name
from sqsam_deploy.runtimes.registry import all_runtimes
from tests.ios_harness.swift import needs_swift, run_swift
from tests.release.export_builder import ExportBuilder
from tests.release.pulling import bring


def packed(export: Path, tmp_path: Path, format: str, **selected: tuple[str, ...]) -> Path:
    store = open_store(f"memory://{tmp_path.name}")
    publish(store, PublishRequest(export, version="1.0.0"))
    out = tmp_path / "out"
    bring(store, tmp_path / "cache", "squeezesam-nano", out, format=format, **selected)
    return out


def test_zip_holds_the_package_as_other_tools_unpack_it(export: Path, tmp_path: Path) -> None:
    out = packed(export, tmp_path, "zip", precisions=("int8",))
    with zipfile.ZipFile(out / "nano-int8.mlpackage.zip") as archive:
        archive.extractall(tmp_path / "unpacked")
    verify_files(
        tmp_path / "unpacked",
        read_manifest(out).model_copy(
            update={"artifacts": tuple(a for a in read_manifest(out).artifacts if a.is_directory)}
        ),
    )
    assert (out / "nano-int8.pte").read_bytes() == (export / "nano-int8.pte").read_bytes()


def test_swift_package_holds_models_and_manifest_as_resources(export: Path, tmp_path: Path) -> None:
    out = packed(export, tmp_path, "swift-package", precisions=("int8",))
    resources = out / "Sources" / "SqueezesamNanoModels" / "Models"
    manifest = read_manifest(resources)
    verify_files(resources, manifest)
    assert [artifact.path for artifact in manifest.artifacts] == ["nano-int8.mlpackage"]
    assert 'resources: [.copy("Models")]' in (out / "Package.swift").read_text()


def test_swift_package_of_another_runtime_is_asked_for(export: Path, tmp_path: Path) -> None:
    out = packed(export, tmp_path, "swift-package", runtimes=("executorch",))
    manifest = read_manifest(out / "Sources" / "SqueezesamNanoModels" / "Models")
    assert {artifact.metadata.runtime for artifact in manifest.artifacts} == {"executorch"}


def test_swift_package_needs_what_its_models_need(export: Path, tmp_path: Path) -> None:
    manifest = read_manifest(export)
    changed = tuple(
        artifact.model_copy(
            update={"metadata": artifact.metadata.model_copy(update={"deployment_target": "iOS16"})}
        )
        for artifact in manifest.artifacts
    )
    write_manifest(export, manifest.model_copy(update={"artifacts": changed}))
    out = packed(export, tmp_path, "swift-package", runtimes=("coreml",))
    assert '[.iOS("16.0"), .macOS("13.0")]' in (out / "Package.swift").read_text()


def test_nothing_for_a_swift_package_is_said(export: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="coreml"):
        packed(export, tmp_path, "swift-package", runtimes=("onnx",))


def test_swift_source_has_balanced_brackets_and_no_template_left(
    export: Path, tmp_path: Path
) -> None:
    out = packed(export, tmp_path, "swift-package")
    for path in out.rglob("*.swift"):
        text = re.sub(r'"(\\.|[^"\\])*"|//[^\n]*', "", path.read_text())
        for opening, closing in ("()", "[]", "{}"):
            assert text.count(opening) == text.count(closing)
        assert "{{" not in text
        assert "{%" not in text


@needs_swift
def test_swift_package_builds(export: Path, tmp_path: Path) -> None:
    out = packed(export, tmp_path, "swift-package")
    run_swift(out, "swift build")


def test_swift_names() -> None:
    assert type_name("squeezesam-nano") == "SqueezesamNano"
    assert type_name("2d") == "Model2d"


def test_swift_strings_cannot_leave_their_quotes() -> None:
    assert swift_string('a"b\\c') == '"a\\"b\\\\c"'
    assert swift_string("\\(evil)") == '"\\\\(evil)"'
    assert swift_string("a\nb\x00") == '"a\\u{a}b\\u{0}"'


def test_android_assets_hold_what_android_runs(export: Path, tmp_path: Path) -> None:
    out = packed(export, tmp_path, "android-assets", precisions=("int8",))
    folder = out / "sqsam" / "squeezesam-nano"
    assert sorted(path.name for path in folder.iterdir()) == [
        "LICENSE.md",
        "README.md",
        "manifest.json",
        "nano-int8.onnx",
        "nano-int8.onnx.json",
        "nano-int8.pte",
        "nano-int8.pte.json",
        "release.json",
    ]
    described = json.loads((folder / "nano-int8.pte.json").read_bytes())
    assert described["runtime"] == "executorch"
    assert [tensor["name"] for tensor in described["inputs"]][:2] == ["image", "prompt_maps"]


def test_nothing_for_android_is_said(export: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none of the selected artifacts runs on Android"):
        packed(export, tmp_path, "android-assets", runtimes=("coreml",))
    assert not (tmp_path / "out").exists()


def test_android_module_holds_models_licenses_and_what_gradle_needs(
    export: Path, tmp_path: Path
) -> None:
    out = packed(export, tmp_path, "android-module", runtimes=("onnx",))
    assets = out / "src" / "main" / "assets" / "sqsam" / "squeezesam-nano"
    assert sorted(path.name for path in assets.iterdir()) == [
        *("LICENSE.md", "README.md", "manifest.json", "nano-int8.onnx", "release.json")
    ]
    assert read_manifest(export).weights.sha256 in (assets / "LICENSE.md").read_text()
    script = (out / "build.gradle.kts").read_text()
    assert re.findall(r'api\("([^"]+)"\)', script) == [
        "io.github.sqsamdeploy:android",
        "io.github.sqsamdeploy:onnx",
    ]
    assert re.search(r'namespace = "([^"]+)"', script)[1].endswith(".models_squeezesam_nano")
    assert (
        ElementTree.parse(out / "src" / "main" / "AndroidManifest.xml").getroot().tag == "manifest"
    )
    assert 'noCompress += listOf("onnx")' in (out / "README.md").read_text()


def test_android_module_is_of_one_runtime(export: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--runtime executorch or onnx"):
        packed(export, tmp_path, "android-module", precisions=("int8",))


def test_android_module_agrees_with_the_library(tmp_path: Path) -> None:
    harness = Path(__file__).parents[2] / "android_harness"
    versions = tomllib.loads((harness / "gradle" / "libs.versions.toml").read_text())["versions"]
    assert (int(versions["compile-sdk"]), int(versions["min-sdk"])) == (COMPILE_SDK, MIN_SDK)
    runtimes = [each.name for each in all_runtimes() if "Android" in each.phone_compute]
    modules = re.findall(r'":(\w+)"', (harness / "settings.gradle.kts").read_text())
    metadata = read_manifest(ExportBuilder()(tmp_path / "export")).artifacts[0].metadata
    libraries = (harness / "gradle" / "libs.versions.toml").read_text()
    for runtime in all_runtimes():
        for coordinates in runtime.requirements(metadata).maven if runtime.phone_compute else ():
            name, _, version = coordinates.rpartition(":")
            reference = re.search(rf'module = "{name}", version.ref = "(\w+)"', libraries)
            assert reference and versions[reference[1]] == version
    assert {"android", *runtimes} <= set(modules)


@pytest.mark.skipif(not shutil.which("npm"), reason="no npm here")
def test_web_holds_what_a_browser_needs(export: Path, tmp_path: Path) -> None:
    out = packed(export, tmp_path, "web")
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    module = {"squeezesam.js", "squeezesam.d.ts", "package.json"}
    runtime = {"onnxruntime/ort.wasm.bundle.min.mjs", "onnxruntime/ort-wasm-simd-threaded.wasm"}
    documents = {"LICENSE.md", "README.md", "manifest.json", "release.json", ".sqsam-pull.json"}
    assert names == {"nano-int8.onnx"} | module | runtime | documents
    assert (out / "onnxruntime/ort-wasm-simd-threaded.wasm").read_bytes()[:4] == b"\0asm"
    # A module that loads others would ask them of another place.
    script = (out / "onnxruntime/ort.wasm.bundle.min.mjs").read_text()
    assert "new Function" not in script
    assert not re.search(r"""import\s*\(?["']\./""", script)


def test_web_without_npm_is_one_sentence(
    export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingDependencyError, match="npm is not installed"):
        packed(export, tmp_path, "web")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("echo other >onnxruntime-web.tgz", "another onnxruntime-web"),
        ("echo 'npm error network' >&2; exit 1", "npm error network"),
    ],
)
def test_what_npm_brings_is_compared_with_the_pinned_hash(
    export: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, message: str
) -> None:
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", str(npm.parent))
    with pytest.raises(StoreError, match=message):
        packed(export, tmp_path, "web")
    assert not (tmp_path / "out").exists()


def test_nothing_for_a_browser_is_said(export: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--runtime onnx"):
        packed(export, tmp_path, "web", runtimes=("coreml",))


def test_unknown_format_names_the_known_ones() -> None:
    with pytest.raises(UsageError, match=r"choose plain, zip, .*, web"):
        find_format("tarball")
